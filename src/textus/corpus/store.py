"""Documents on disk: Parquet files that any tool opens, written and read in bounded memory."""

from __future__ import annotations

import hashlib
import itertools
import json
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet

from textus.corpus.arrow import encoded_texts, texts
from textus.corpus.document import Document, id_of
from textus.errors import ArtefactError

_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "text", "source", "meta")])
_NO_META = "{}"
_AS_JSON = json.JSONEncoder(default=str).encode
_GROUP_BYTES = 4_000_000
FILE_BYTES = 512_000_000
"""Text in a file before the next is begun."""


class Row(NamedTuple):
    """A document as it is kept: what is not changed need not be decoded to be written again."""

    id: str
    text: str
    source: str
    meta: str
    """JSON."""

    @property
    def document(self) -> Document:
        """Return the document that is kept."""
        return Document(self.text, self.source, json.loads(self.meta) if self.meta != _NO_META else {})

    def with_text(self, text: str) -> Row:
        """Return the same document with another text."""
        return self._replace(id=Document(text, self.source).id, text=text)


class DocumentWriter:
    """Append documents to `NAME-00000.parquet`, `NAME-00001.parquet`, ... in a directory."""

    def __init__(self, directory: Path, name: str, file_bytes: int = FILE_BYTES) -> None:
        self.count = 0
        self.num_bytes = 0
        self._directory, self._name, self._most_bytes = directory, name, file_bytes
        self._ids = hashlib.sha256()
        self._rows: list[tuple[str, bytes, str, str]] = []
        self._row_bytes = self._file_bytes = self._num_files = 0
        self._writer: pa.parquet.ParquetWriter | None = None

    def append(self, document: Document) -> bytes:
        """Add one document; return its text in UTF-8."""
        text = document.text.encode("utf-8", "surrogatepass")
        meta = _AS_JSON(dict(document.meta)) if document.meta else _NO_META
        self._add(id_of(text), document.text, text, document.source, meta)
        return text

    def append_row(self, row: Row) -> None:
        """Add one document as it was kept elsewhere."""
        self._add(row.id, row.text, row.text.encode("utf-8", "surrogatepass"), row.source, row.meta)

    def _add(self, identity: str, text: str, encoded: bytes, source: str, meta: str) -> None:
        size = len(encoded)
        if b"\xed" in encoded:  # as a lone surrogate begins, which a column of texts cannot hold, and so is escaped
            encoded = text.encode("utf-8", "backslashreplace")
        self._rows.append((identity, encoded, source, meta))
        self._ids.update(identity.encode("ascii"))
        self.count += 1
        self.num_bytes += size
        self._row_bytes += size
        if self._row_bytes >= _GROUP_BYTES:
            self._flush()

    @property
    def fingerprint(self) -> str:
        """Hash the ids of all documents, in order."""
        return self._ids.hexdigest()

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is not None and self._file_bytes >= self._most_bytes:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            path = self._directory / f"{self._name}-{self._num_files:05}.parquet"
            self._writer = pa.parquet.ParquetWriter(
                path,
                _SCHEMA,
                compression="zstd",
                use_dictionary=["source", "meta"],
                write_statistics=False,
                write_page_checksum=True,
            )
            self._num_files, self._file_bytes = self._num_files + 1, 0
        identities, encoded, sources, metas = zip(*self._rows, strict=True)
        columns = [texts(identities), encoded_texts(encoded), texts(sources), texts(metas)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        self._file_bytes += self._row_bytes
        self._rows, self._row_bytes = [], 0


def read_documents(directory: Path, name: str) -> Iterator[Document]:
    """Yield the documents that a `DocumentWriter` of this name wrote, in order; hold one row group at a time."""
    for row in read_rows(directory, name):
        yield row.document


def read_rows(directory: Path, name: str) -> Iterator[Row]:
    """Yield the same documents as they are kept."""
    for path in document_files(directory, name):
        yield from itertools.starmap(Row, read_columns(path, *Row._fields))


def read_texts(directory: Path, name: str) -> Iterator[str]:
    """Yield the texts alone."""
    for path in document_files(directory, name):
        for (text,) in read_columns(path, "text"):
            yield text


def read_some(directory: Path, name: str, numbers: Collection[int]) -> dict[int, Row]:
    """Return some of the documents by their place among all; only the row groups that hold them are read."""
    found: dict[int, Row] = {}
    wanted, first = sorted(numbers), 0
    for path in document_files(directory, name) if wanted else ():
        with _opened(path) as file:
            for group in range(file.num_row_groups):
                after = first + file.metadata.row_group(group).num_rows
                if own := wanted[bisect_left(wanted, first) : bisect_left(wanted, after)]:
                    table = file.read_row_group(group, columns=list(Row._fields), use_threads=False)
                    for number in own:  # `take` would load the functions of Arrow, and with them pandas
                        found[number] = Row(*(column[number - first].as_py() for column in table.columns))
                first = after
    return found


def read_file(path: Path) -> Iterator[Document]:
    """Yield the documents of one of its files."""
    for row in itertools.starmap(Row, read_columns(path, *Row._fields)):
        yield row.document


def read_columns(path: Path, *columns: str) -> Iterator[tuple[str, ...]]:
    """Yield some columns of one of its files, a row at a time."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(columns), use_threads=False)
            yield from zip(*(table.column(name).to_pylist() for name in columns), strict=True)


@contextmanager
def _opened(path: Path) -> Iterator[pa.parquet.ParquetFile]:
    try:
        with pa.parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArtefactError(
            f"{path}: damaged: {str(error).splitlines()[0]}", hint="delete the corpus and make it again"
        ) from None


def document_files(directory: Path, name: str) -> Sequence[Path]:
    """List the files of a `DocumentWriter` of this name."""
    return sorted(directory.glob(f"{name}-*.parquet"))
