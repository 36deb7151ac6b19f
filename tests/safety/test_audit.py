"""No line of a log can be changed, removed, added, moved or cut off unseen; a killed writer is told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.errors import ArtefactError
from textus.safety import policy
from textus.safety.audit import Audit
from textus.safety.audit_check import verify
from textus.safety.audit_record import HEAD, Head, digest_of
from textus.safety.guard import Guard, layers_of

KEY = b"a key that nobody knows"


def filled(directory: Path, count: int = 6, **options: object) -> Path:
    log = Audit(directory, **options)  # type: ignore[arg-type]
    for number in range(count):
        log.append("note", {"number": number, "word": "é\n"})
    return directory


def lines(directory: Path) -> list[bytes]:
    return (directory / "00000001.jsonl").read_bytes().splitlines(keepends=True)


def test_a_log_is_whole_and_goes_on_from_process_to_process(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    filled(tmp_path, 2)
    found = verify(tmp_path)
    assert (found.records, found.files, found.problems, found.torn) == (5, 1, (), ())
    assert verify(tmp_path, known=found.head).problems == ()
    filled(tmp_path, 1)
    assert verify(tmp_path, known=found.head).problems == ()
    assert "was written anew" in verify(tmp_path, known="0" * 63 + "1").problems[0]


def test_a_decision_is_logged_without_the_text(tmp_path: Path) -> None:
    rules = policy.load()
    verdict = Guard(rules, layers_of(rules)).check("I am ada@example.org", "output")
    one = Audit(tmp_path / "a").record(verdict, "I am ada@example.org", request="r1")
    again = Audit(tmp_path / "a").record(verdict, "I am ada@example.org")
    other = Audit(tmp_path / "b", raw=True).record(verdict, "I am ada@example.org")
    assert b"ada@" not in (tmp_path / "a" / "00000001.jsonl").read_bytes()
    assert one["body"]["text_hmac"] == again["body"]["text_hmac"] != other["body"]["text_hmac"]
    assert one["body"]["request"] == "r1"
    assert one["body"]["spans"] == [[5, 20, "email", "personal", ""]]
    assert other["body"]["text"] == "I am ada@example.org"


def test_files_follow_each_other(tmp_path: Path) -> None:
    filled(tmp_path, 9, rotate_bytes=600)
    assert len(list(tmp_path.glob("*.jsonl"))) >= 3
    assert verify(tmp_path).problems == ()
    (tmp_path / "00000002.jsonl").unlink()
    problems = verify(tmp_path).problems
    assert "00000002.jsonl: is missing" in problems
    assert any("00000003.jsonl:1" in problem for problem in problems)


def reforged(log: list[bytes]) -> list[bytes]:
    """Change a record and hash it again, as who knows the format can."""
    import json

    record = json.loads(log[2])
    record["body"]["number"] = 99
    record["hash"] = digest_of(record, b"")
    return [*log[:2], json.dumps(record, separators=(",", ":")).encode() + b"\n", *log[3:]]


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": lambda log: [*log[:2], log[2].replace(b'"number":2', b'"number":3'), *log[3:]],
    "edited and hashed anew": reforged,
    "removed": lambda log: [*log[:2], *log[3:]],
    "first removed": lambda log: log[1:],
    "swapped": lambda log: [*log[:2], log[3], log[2], *log[4:]],
    "doubled": lambda log: [*log[:2], log[2], *log[2:]],
    "cut off": lambda log: log[:-1],
    "cut off in a line": lambda log: [*log[:-1], log[-1][:-20]],
    "emptied": lambda log: [],
    "a stranger's line": lambda log: [*log[:2], b'{"a": 1}\n', *log[2:]],
    "a blank line": lambda log: [*log[:2], b"\n", *log[2:]],
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("key", [b"", KEY])
def test_every_change_is_found(tmp_path: Path, how: str, key: bytes) -> None:
    filled(tmp_path, key=key)
    (tmp_path / "00000001.jsonl").write_bytes(b"".join(CHANGES[how](lines(tmp_path))))
    assert verify(tmp_path, key=key).problems
    filled(tmp_path, 1, key=key)  # going on writing hides nothing
    assert verify(tmp_path, key=key).problems


@given(st.data())
def test_any_other_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    directory = filled(tmp_path_factory.mktemp("log"), 3)
    content = bytearray((directory / "00000001.jsonl").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (directory / "00000001.jsonl").write_bytes(bytes(content))
    assert verify(directory).problems


def test_with_another_key_nothing_is_right(tmp_path: Path) -> None:
    filled(tmp_path, 2, key=KEY)
    assert len(verify(tmp_path).problems) == 2


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_that_was_being_written_is_told_and_is_no_tampering(tmp_path: Path, kept: int) -> None:
    filled(tmp_path, 3)
    whole, head = (tmp_path / "00000001.jsonl").read_bytes(), (tmp_path / HEAD).read_bytes()
    filled(tmp_path, 1)
    fourth = (tmp_path / "00000001.jsonl").read_bytes()[len(whole) :]
    (tmp_path / "00000001.jsonl").write_bytes(whole + fourth[:kept])
    (tmp_path / HEAD).write_bytes(head)  # the killed process had not come to it
    found = verify(tmp_path)
    assert found.problems == ()
    assert len(found.torn) == 1
    filled(tmp_path, 2)
    found = verify(tmp_path)
    assert found.problems == ()
    told = ("00000001.jsonl:4: unfinished: its writer was killed, as the record after it says",)
    assert (found.records, found.torn) == (6, () if kept == -1 else told)


def test_a_record_that_the_head_did_not_come_to_know_is_taken_up(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    head = (tmp_path / HEAD).read_bytes()
    filled(tmp_path, 1)
    (tmp_path / HEAD).write_bytes(head)
    assert verify(tmp_path).problems == ()
    filled(tmp_path, 1)
    assert verify(tmp_path).records == Head.read(tmp_path).number == 5
    assert verify(tmp_path).problems == ()


def test_a_writer_that_is_killed_leaves_a_log_that_can_be_checked_and_gone_on_with(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom textus.safety.audit import Audit\nlog = Audit(sys.argv[1], rotate_bytes=20000)\n"
        "n = 0\nwhile True:\n    log.append('note', {'n': n, 'filling': 'x' * 3000})\n    n += 1\n"
        "    print(n, flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    filled(tmp_path, 2)
    found = verify(tmp_path)
    assert found.problems == ()
    assert found.records >= 22


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not an audit log of ours: it has no `head`"):
        verify(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtefactError, match=r"holds notes\.txt"):
        Audit(tmp_path)
    (tmp_path / HEAD).write_text("mine")
    with pytest.raises(ArtefactError, match="damaged"):
        verify(tmp_path)
