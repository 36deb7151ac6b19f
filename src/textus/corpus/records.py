"""From one record of any format to a document, and what is said of a record that gives none."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.errors import InputError

_LONGEST_FACT = 256
_NUMBERS = (bool, int, float)
_LARGEST = 1 << 63
HINT_DAMAGED = "mend or delete that record, or set corpus.unreadable=skip to leave such records out"
HINT_COLUMN = "name the column that holds the text with corpus.text_column=NAME"
HINT_LONG = "raise corpus.maximum_document_mb, or cut the record into several"


class Maker:
    """Make documents of records, and refuse those without a text."""

    def __init__(self, file: InputFile, config: CorpusConfig, log: ReadLog, where: Callable[[int], str]) -> None:
        self._source, self._config, self._log, self._where = file.name, config, log, where
        self._column, self._surely_short = config.text_column, config.maximum_bytes // 4
        self._own = {config.text_column, "source"}

    def __call__(self, value: Any, number: int) -> Document | None:
        """Return the document of one record; `where` names it by its number, if it must be named."""
        facts: Mapping[str, Any] = value if isinstance(value, dict) else {}
        text = facts.get(self._column)
        if type(text) is not str or len(text) > self._surely_short:
            try:
                text = _text(value, self._config)
            except InputError as error:
                self._log.refuse(naming(self._where(number), error))
                return None
        if len(facts) <= 1:
            return Document(text, self._source)
        source, own = facts.get("source"), self._own
        meta = {key: fact for key, fact in facts.items() if key not in own and _is_small(fact)}
        return Document(text, source if isinstance(source, str) and source else self._source, meta)


def _text(value: Any, config: CorpusConfig) -> str:
    if isinstance(value, Mapping):
        if config.text_column not in value:
            if isinstance(value.get("messages"), list):
                raise InputError(
                    "a conversation (`messages`), not a text",
                    hint="a corpus takes texts; `textus adapt --method instruct` takes conversations",
                )
            raise missing_column(list(value), config.text_column)
        value = value[config.text_column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"`{config.text_column}` is {_kind(value)}, not a string", hint=HINT_COLUMN)
    if len(value) * 4 > config.maximum_bytes and len(value.encode("utf-8", "surrogatepass")) > config.maximum_bytes:
        raise too_long(config)
    return value


def missing_column(columns: list[str], wanted: str) -> InputError:
    """Say that the column of texts is not there, and which are."""
    close = difflib.get_close_matches(wanted, columns, n=1, cutoff=0.6)
    shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
    return InputError(
        f"no column `{wanted}`; there is {shown or 'none'}",
        hint=f"set corpus.text_column={close[0] if close else 'NAME'} to the column that holds the text",
    )


def too_long(config: CorpusConfig) -> InputError:
    """Say that a record is longer than a document may be."""
    return InputError(f"longer than {config.maximum_document_mb:g} MB", hint=HINT_LONG)


def naming(where: str, error: InputError) -> InputError:
    """Put before an error where it was met."""
    return InputError(f"{where}: {error.message}", hint=error.hint)


def _kind(value: Any) -> str:
    names: list[tuple[type, str]] = [
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (list, "a list"),
        (dict, "an object"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _is_small(fact: Any) -> bool:
    if type(fact) is str:
        return len(fact) <= _LONGEST_FACT
    # Beyond this, orjson and json read a number differently; NaN is not JSON at all.
    return type(fact) in _NUMBERS and -_LARGEST < fact < _LARGEST
