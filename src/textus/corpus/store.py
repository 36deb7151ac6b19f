"""Documents on disk: Parquet files that any tool opens, written and read in bounded memory."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet

from textus.corpus.arrow import texts
from textus.corpus.document import Document
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

    @classmethod
    def of(cls, document: Document) -> Row:
        """Return the row that keeps a document."""
        meta = _AS_JSON(dict(document.meta)) if document.meta else _NO_META
        return cls(document.id, document.text, document.source, meta)

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
        self._rows: list[Row] = []
        self._row_bytes = self._file_bytes = self._num_files = 0
        self._writer: pa.parquet.ParquetWriter | None = None

    def append(self, document: Document) -> None:
        """Add one document."""
        self.append_row(Row.of(document))

    def append_row(self, row: Row) -> None:
        """Add one document as it was kept elsewhere."""
        size = len(row.text) if row.text.isascii() else len(row.text.encode("utf-8", "surrogatepass"))
        self._rows.append(row)
        self._ids.update(row.id.encode("ascii"))
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
        columns = [texts(column) for column in zip(*self._rows, strict=True)]
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


def read_file(path: Path) -> Iterator[Document]:
    """Yield the documents of one of its files."""
    for row in itertools.starmap(Row, read_columns(path, *Row._fields)):
        yield row.document


def read_columns(path: Path, *columns: str) -> Iterator[tuple[str, ...]]:
    """Yield some columns of one of its files, a row at a time."""
    try:
        with pa.parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns), use_threads=False)
                yield from zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArtefactError(
            f"{path}: damaged: {str(error).splitlines()[0]}", hint="delete the corpus and make it again"
        ) from None


def document_files(directory: Path, name: str) -> Sequence[Path]:
    """List the files of a `DocumentWriter` of this name."""
    return sorted(directory.glob(f"{name}-*.parquet"))
