"""A line as long as a disk is read, or refused, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import zstandard

GIGABYTE = 10**9


def line(name: str, begin: bytes, end: bytes, size: int) -> Path:
    """Write a packed file that unpacks to one line of `size` bytes."""
    block = b"word " * 200_000
    with Path(name).open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as packed_file:
        packed_file.write(begin)
        for _ in range(size // len(block)):
            packed_file.write(block)
        packed_file.write(end)
    return Path(name)


def peak(*words: str | Path) -> tuple[int, str, int]:
    """Run a command in a process of its own, and return its exit code, what it told, and its peak memory in bytes."""
    # A small process between the two: a child counts the memory of whoever started it as its own.
    code = """
        import json, resource, subprocess, sys
        done = subprocess.run([sys.executable, "-m", "textus", *sys.argv[1:]], capture_output=True, text=True)
        print(json.dumps([done.returncode, done.stderr, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]
    found: tuple[int, str, int] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


@pytest.mark.parametrize(
    ("name", "begin", "end", "error"),
    [
        ("a.jsonl.zst", b'{"text": "', b'"}\n', "a.jsonl.zst:1: longer than 16 MB"),
        ("a.csv.zst", b'text\n"', b'"\n', "a.csv.zst: a row longer than 16 MB, or a quotation mark never closed"),
    ],
)
def test_a_record_of_2_gb_on_one_line_is_refused_in_bounded_memory(
    name: str, begin: bytes, end: bytes, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told, memory = peak("clean", line(name, begin, end, 2 * GIGABYTE), "-o", "new")
    assert code == 2
    assert f"error: {error}\n\nhint: " in told
    assert memory < GIGABYTE // 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_text_of_one_line_is_cut_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the text more would be seen; a text of 2 GB is in benchmarks/RESULTS.md."""
    monkeypatch.chdir(tmp_path)
    text = line("a.txt.zst", b"once ", b" upon a time", 32_000_000)
    plainly = (
        "filter.profile=none",
        "deduplicate=exact",
        "boilerplate.action=keep",
        "work.workers=1",
        "work.task_mb=4",
    )
    settings = [f"corpus.{setting}" for setting in ("maximum_document_mb=1", *plainly)]
    code, told, memory = peak("clean", text, "-o", "new", *settings)
    assert code == 0, told
    assert memory < GIGABYTE // 2


def test_a_text_of_one_line_is_cut_in_bounded_memory_by_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of 1 GB, whose characters alone would be too many to hold twice."""
    monkeypatch.chdir(tmp_path)
    text = line("a.txt.zst", b"once ", b" upon a time", GIGABYTE // 10)
    code, told, memory = peak("clean", text, "-o", "new", "corpus.maximum_document_mb=1")
    assert code == 0, told
    assert memory < GIGABYTE * 3 // 10
