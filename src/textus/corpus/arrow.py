"""Columns of Arrow from arrays of numpy and back; Arrow's own way would load pandas wherever that is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def column(values: NDArray[Any]) -> pa.Array:
    """Return numbers as a column that shares their memory.

    >>> column(np.array([1, 2], np.int32)).type
    DataType(int32)
    """
    if values.dtype == bool:
        return pa.array(values.tolist(), pa.bool_())
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, data])


def strings(values: Iterable[str]) -> pa.Array:
    """Return words, of which many are equal, as a column that holds each once."""
    return pa.array(list(values), pa.string()).dictionary_encode()


def numbered(numbers: NDArray[Any], names: Sequence[str]) -> pa.Array:
    """Return words as a column, from the number of each among `names`."""
    return pa.DictionaryArray.from_arrays(column(numbers.astype(np.int32)), pa.array(list(names), pa.string()))


def array(values: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column as an array: of numbers, or of words as objects."""
    whole = values.combine_chunks()
    if pa.types.is_dictionary(whole.type):
        words = np.array(whole.dictionary.to_pylist(), object)
        return words[np.asarray(array(pa.chunked_array([whole.indices])))] if len(words) else np.zeros(0, object)
    if pa.types.is_boolean(whole.type) or pa.types.is_string(whole.type):
        return np.array(whole.to_pylist(), bool if pa.types.is_boolean(whole.type) else object)
    start, kind = whole.offset, whole.type.to_pandas_dtype()
    return np.frombuffer(whole.buffers()[1], kind)[start : start + len(whole)]
