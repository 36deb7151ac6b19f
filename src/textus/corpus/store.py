"""Documents on disk: Parquet files that any tool opens, written and read in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet

from textus.corpus.document import Document
from textus.errors import ArtefactError

_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "text", "source", "meta")])
_NO_META = "{}"
_GROUP_BYTES = 4_000_000
FILE_BYTES = 512_000_000
"""Text in a file before the next is begun."""


class DocumentWriter:
    """Append documents to `NAME-00000.parquet`, `NAME-00001.parquet`, ... in a directory."""

    def __init__(self, directory: Path, name: str, file_bytes: int = FILE_BYTES) -> None:
        self.count = 0
        self.num_bytes = 0
        self._directory, self._name, self._most_bytes = directory, name, file_bytes
        self._ids = hashlib.sha256()
        self._rows: list[tuple[str, str, str, str]] = []
        self._row_bytes = self._file_bytes = self._num_files = 0
        self._writer: pa.parquet.ParquetWriter | None = None

    def append(self, document: Document) -> None:
        """Add one document."""
        identity, size = document.id, document.num_bytes
        meta = json.dumps(dict(document.meta), ensure_ascii=True, default=str) if document.meta else _NO_META
        self._rows.append((identity, document.text, document.source, meta))
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
        columns = [pa.array(column, pa.string()) for column in zip(*self._rows, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        self._file_bytes += self._row_bytes
        self._rows, self._row_bytes = [], 0


def read_documents(directory: Path, name: str) -> Iterator[Document]:
    """Yield the documents that a `DocumentWriter` of this name wrote, in order; hold one row group at a time."""
    for path in document_files(directory, name):
        yield from read_file(path)


def read_file(path: Path) -> Iterator[Document]:
    """Yield the documents of one of its files."""
    for text, source, meta in read_columns(path, "text", "source", "meta"):
        yield Document(text, source, json.loads(meta) if meta != _NO_META else {})


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
