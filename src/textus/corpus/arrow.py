"""Columns of Arrow from arrays and lists, and back; Arrow's own way would load pandas wherever that is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from textus.errors import CorpusError

_MOST_BYTES = 2**31 - 1


def column(values: NDArray[Any]) -> pa.Array:
    """Return numbers as a column that shares their memory.

    >>> column(np.array([1, 2], np.int32)).type
    DataType(int32)
    """
    is_bool = values.dtype == bool
    data = pa.py_buffer(np.packbits(values, bitorder="little") if is_bool else np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, data])


def texts(values: Iterable[str]) -> pa.Array:
    """Return texts as a column; a lone surrogate, which UTF-8 cannot hold, is escaped.

    >>> texts(["to be", "", "ça va"]).to_pylist()
    ['to be', '', 'ça va']
    """
    return encoded_texts([value.encode("utf-8", "backslashreplace") for value in values])


def encoded_texts(encoded: Sequence[bytes]) -> pa.Array:
    """Return texts, which are UTF-8 already, as a column."""
    if sum(map(len, encoded)) > _MOST_BYTES:
        raise CorpusError(
            "texts of more than 2 GB together cannot be kept in one column",
            hint="lower corpus.maximum_document_mb",
        )
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum(list(map(len, encoded)), out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def strings(values: Iterable[str]) -> pa.Array:
    """Return words, of which many are equal, as a column that holds each once."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(value, len(numbers)) for value in values]
    return numbered(np.array(found, np.int32), list(numbers))


def numbered(numbers: NDArray[Any], names: Sequence[str]) -> pa.Array:
    """Return words as a column, from the number of each among `names`."""
    return pa.DictionaryArray.from_arrays(column(numbers.astype(np.int32)), texts(names))


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


def read_table(path: Path, columns: Sequence[str] = ()) -> pa.Table:
    """Read columns of a Parquet file, all of them unless some are named."""
    with pa.parquet.ParquetFile(path, pre_buffer=False) as file:
        return file.read(columns=list(columns) or None, use_threads=False)
