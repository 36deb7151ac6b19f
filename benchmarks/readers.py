"""MB of text per CPU-second that each format is read and cleaned at, on the same documents, and the peak of memory.

python benchmarks/readers.py FILE.jsonl[.zst] [MEGABYTES]
"""

from __future__ import annotations

import gzip
import json
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import zstandard

from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.inputs import list_parts
from textus.corpus.log import ReadLog
from textus.corpus.read import read, read_part
from textus.corpus.text import SEPARATOR

MEGABYTE = 1_000_000


def as_lines(documents: list[Document]) -> bytes:
    return b"".join(json.dumps({"text": d.text, "source": d.source}).encode() + b"\n" for d in documents)


def as_text(documents: list[Document]) -> bytes:
    return f"\n{SEPARATOR}\n".join(document.text for document in documents).encode()


def as_page(document: Document) -> str:
    paragraphs = "".join(f"<p>{line}</p>" for line in document.text.replace("<", "&lt;").splitlines())
    return f"<html><body><nav>Home</nav><article>{paragraphs}</article></body></html>"


def write(folder: Path, documents: list[Document]) -> Iterator[Path]:
    """Write the documents in each format."""
    texts = [document.text for document in documents]
    table = pa.table({"text": texts, "source": [document.source for document in documents]})
    short = [line for text in texts for line in text.splitlines() if line][:400_000]
    writers: dict[str, Callable[[Path], object]] = {
        "a.txt": lambda path: path.write_bytes(as_text(documents)),
        "a.jsonl": lambda path: path.write_bytes(as_lines(documents)),
        "short.jsonl": lambda path: path.write_bytes(b"".join(json.dumps({"text": s}).encode() + b"\n" for s in short)),
        "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(as_lines(documents), 1)),
        "a.jsonl.zst": lambda path: path.write_bytes(zstandard.ZstdCompressor().compress(as_lines(documents))),
        "a.parquet": lambda path: pa.parquet.write_table(table, path, compression="zstd", row_group_size=1000),
        "a.arrow": lambda path: pa.feather.write_feather(table, path, compression="uncompressed"),
        "a.json": lambda path: path.write_text(json.dumps([{"text": text} for text in texts])),
        "a.zip": lambda path: write_zip(path, documents),
        "a.warc": lambda path: path.write_bytes(b"".join(map(as_record, documents))),
    }
    for name, writer in writers.items():
        path = folder / name
        writer(path)
        yield path
        path.unlink()


def write_zip(path: Path, documents: list[Document]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, document in enumerate(documents):
            archive.writestr(f"{number}.txt", document.text)


def as_record(document: Document) -> bytes:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + as_page(document).encode()
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"
        % (
            len(body),
            body,
        )
    )


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """Return what `work` counts, and the CPU-seconds of the better of two runs."""
    seconds = []
    for _ in range(2):
        began = time.process_time()
        count = work()
        seconds.append(time.process_time() - began)
    return count, min(seconds)


def main() -> None:
    config, most = CorpusConfig(unreadable="skip"), float(sys.argv[2] if len(sys.argv) > 2 else 20) * MEGABYTE
    documents: list[Document] = []
    for document in read([sys.argv[1]], config):
        if document.text.strip():
            documents.append(document)
            most -= document.num_bytes
        if most < 0:
            break
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in write(Path(folder), documents):
            parts = list_parts([path], config, ReadLog())
            size, seconds = timed(
                lambda parts=parts: sum(d.num_bytes for part in parts for d in read_part(part, config, ReadLog()))
            )
            rows.append({"format": path.name, "mb": size / MEGABYTE, "mb_per_cpu_second": size / MEGABYTE / seconds})
            print(rows[-1], file=sys.stderr, flush=True)
    size, seconds = timed(
        lambda: sum(len(clean(document.text, config)[0]) and document.num_bytes for document in documents)
    )
    rows.append({"format": "clean", "mb": size / MEGABYTE, "mb_per_cpu_second": size / MEGABYTE / seconds})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"benchmark": "readers", "documents": len(documents), "peak_mib": round(peak), "rows": rows}))


if __name__ == "__main__":
    main()
