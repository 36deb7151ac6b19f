"""A log of decisions in which no line can be changed, removed, added, swapped or cut off without its being seen.

A directory holds files `00000001.jsonl`, `00000002.jsonl` and so on, and `head`. Each line is a JSON object with the
number of the record, the hash of the record before, and its own; `head` says which one is last. With a key the hashes
are HMAC-SHA256, and who has no key cannot make them anew; without one, whoever may write all files can. Then compare
`head` with one that was kept elsewhere.

A record is written by one call; a process that is killed in it leaves part of a line. The next one closes that line,
and says in a record of its own that it was torn: it is told, and it is no sign of tampering.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textus.errors import ArtefactError
from textus.safety.verdict import Verdict
from textus.storage import refusals

FIRST = "0" * 64
"""What stands for the hash before the first record."""
HEAD, SALT, LOCK = "head", "salt", ".lock"
TORN, RECORD = "torn", "verdict"
_HEAD_BYTES = 128


@dataclass(frozen=True)
class Head:
    """The last record, and where it ends."""

    number: int
    digest: str
    file: int
    size: int

    def line(self) -> bytes:
        """Write it in a row of fixed length: one write puts it in the place of the one before."""
        return (
            f"{self.number:015d} {self.digest} {self.file:08d} {self.size:015d}".ljust(_HEAD_BYTES - 1).encode() + b"\n"
        )

    @classmethod
    def read(cls, directory: Path) -> Head:
        """Read the head of a log; raise `ArtefactError` where there is none."""
        path = directory / HEAD
        try:
            number, digest, file, size = path.read_text("ascii").split()
            found = cls(int(number), digest, int(file), int(size))
            if len(digest) != len(FIRST):
                raise ValueError
            return found
        except FileNotFoundError:
            raise ArtefactError(
                f"{directory}: not an audit log of ours: it has no `{HEAD}`", hint="give the directory of --audit"
            ) from None
        except (ValueError, UnicodeDecodeError):
            raise ArtefactError(
                f"{path}: damaged: it does not name the last record", hint="compare the log with a copy kept elsewhere"
            ) from None
        except OSError as error:
            raise ArtefactError(f"{path}: {error.strerror}", hint="check its permissions") from None


def file_name(number: int) -> str:
    """Return the name of one of a log's files."""
    return f"{number:08d}.jsonl"


def digest_of(values: Mapping[str, Any], key: bytes) -> str:
    """Hash a record without its own hash; the hash before is in it."""
    data = json.dumps(
        {name: value for name, value in values.items() if name != "hash"},
        sort_keys=True,
        ensure_ascii=True,
        separators=(",", ":"),
    ).encode()
    return hmac.new(key, data, "sha256").hexdigest() if key else hashlib.sha256(data).hexdigest()


class Audit:
    """Append decisions to a log; several processes may write one.

    Texts are not kept, only their length and a hash that is salted per log, by which equal texts are known again; with
    `raw` they are. A file that has `rotate_bytes` is followed by the next.
    """

    def __init__(self, directory: str | Path, *, key: bytes = b"", raw: bool = False, rotate_bytes: int = 64 << 20):
        self.directory = Path(directory)
        self._key, self._raw, self._rotate = key, raw, rotate_bytes
        with refusals(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if not (self.directory / HEAD).exists():
                self._begin()
            self._salt = (self.directory / SALT).read_bytes()
            self._recover(Head.read(self.directory))

    def record(self, verdict: Verdict, text: str, **facts: Any) -> dict[str, Any]:
        """Append a decision on `text`, with `facts` such as who asked and under which policy."""
        values: dict[str, Any] = {
            **facts,
            "action": verdict.action,
            "side": verdict.side,
            "categories": list(verdict.categories),
            "scores": {name: round(score, 6) for name, score in verdict.scores.items()},
            "spans": [[span.start, span.end, span.category, span.layer, span.rule] for span in verdict.spans],
            "errors": list(verdict.errors),
            "characters": len(text),
            "text_hmac": hmac.new(self._salt, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest(),
        }
        if self._raw:
            values["text"] = text
        return self.append(RECORD, values)

    def append(self, event: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Append a record of any kind and return it as it was written."""
        with self._locked():
            head = self._recover(Head.read(self.directory))
            if head.size >= self._rotate:
                head = Head(head.number, head.digest, head.file + 1, 0)
            return self._write(head, event, values)[1]

    def _write(self, head: Head, event: str, values: Mapping[str, Any]) -> tuple[Head, dict[str, Any]]:
        record: dict[str, Any] = {
            "n": head.number + 1,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "before": head.digest,
            "body": json.loads(json.dumps(values)),
        }
        record["hash"] = digest_of(record, self._key)
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        with refusals(self.directory), (self.directory / file_name(head.file)).open("ab", buffering=0) as file:
            file.write(line)
        written = Head(head.number + 1, record["hash"], head.file, head.size + len(line))
        self._set(written)
        return written, record

    def _set(self, head: Head) -> None:
        with refusals(self.directory):
            descriptor = os.open(self.directory / HEAD, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, head.line(), 0)
            finally:
                os.close(descriptor)

    def _begin(self) -> None:
        strangers = sorted(path.name for path in self.directory.iterdir() if path.name not in (LOCK, SALT))
        if strangers:
            raise ArtefactError(
                f"{self.directory}: not an audit log of ours: it holds {strangers[0]}",
                hint="choose an empty directory, or one that --audit made",
            )
        descriptor = os.open(self.directory / SALT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, secrets.token_bytes(32))
        os.close(descriptor)
        (self.directory / file_name(1)).touch()
        self._set(Head(0, FIRST, 1, 0))

    def _recover(self, head: Head) -> Head:
        """Take up what a killed process left: a record that `head` does not know yet, or part of one."""
        path = self.directory / file_name(head.file)
        with refusals(path):
            if not path.exists():
                path = self.directory / file_name(head.file)
                path.touch()
            size = path.stat().st_size
            following = self.directory / file_name(head.file + 1)
            if size == head.size and following.exists() and following.stat().st_size:
                head, path, size = Head(head.number, head.digest, head.file + 1, 0), following, following.stat().st_size
            if size <= head.size:  # as it should be; or cut off, which `verify` tells and nothing here may hide
                return head
            with path.open("rb") as file:
                file.seek(head.size)
                left = file.read()
        for line in left.splitlines(keepends=True):
            record = _parsed(line)
            if not record or record["before"] != head.digest or record["hash"] != digest_of(record, self._key):
                break
            if not line.endswith(b"\n"):  # whole but for its end
                with refusals(path), path.open("ab", buffering=0) as file:
                    file.write(b"\n")
            size = head.size + len(line.rstrip(b"\n")) + 1
            head, left = Head(record["n"], record["hash"], head.file, size), left[len(line) :]
        if not left:
            self._set(head)
            return head
        with refusals(path), path.open("ab", buffering=0) as file:
            if not left.endswith(b"\n"):
                file.write(b"\n")
        after = Head(head.number, head.digest, head.file, path.stat().st_size)
        told = {"bytes": len(left.rstrip(b"\n")), "sha256": hashlib.sha256(left.rstrip(b"\n")).hexdigest()}
        return self._write(after, TORN, told)[0]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time write."""
        import fcntl

        with refusals(self.directory), (self.directory / LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line's record; nothing where it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    kinds = {"n": int, "time": str, "event": str, "before": str, "body": dict, "hash": str}
    if not isinstance(value, dict) or set(value) != set(kinds):
        return None
    return value if all(isinstance(value[name], kind) for name, kind in kinds.items()) else None


@dataclass(frozen=True)
class Checked:
    """What a log was found to be."""

    directory: str
    records: int
    files: int
    head: str
    """The hash of the last record: keep it elsewhere, and give it to the next check."""
    problems: tuple[str, ...]
    """Each with file and line; empty where the log is whole."""
    torn: tuple[str, ...] = ()
    """Lines that a killed process left unfinished, as the record after each says."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**vars(self), "problems": list(self.problems), "torn": list(self.torn), "whole": not self.problems}


def verify(directory: str | Path, *, key: bytes = b"", known: str = "") -> Checked:
    """Read a log from its first line to its last, and say everything that is not as it was written.

    `known` is the hash of a record that is known to have been in it, such as an earlier `head`.
    """
    directory = Path(directory)
    head = Head.read(directory)
    walk = _Walk(directory, key, known)
    numbers = sorted(int(path.stem) for path in directory.glob("*.jsonl") if path.stem.isdecimal())
    for number in range(1, max([head.file, *numbers]) + 1):
        walk.file(number)
    return walk.checked(head, len(numbers))


class _Walk:
    """Go through a log line by line."""

    def __init__(self, directory: Path, key: bytes, known: str) -> None:
        self._directory, self._key, self._known = directory, key, known
        self._last, self._number, self._seen_known = FIRST, 0, not known
        self._pending: tuple[str, bytes] | None = None  # a line that is no record, until the next says it was torn
        self._problems: list[str] = []
        self._torn: list[str] = []

    def file(self, number: int) -> None:
        """Read one file."""
        path = self._directory / file_name(number)
        try:
            with path.open("rb") as lines:
                for count, line in enumerate(lines, 1):
                    self._line(f"{path.name}:{count}", line)
        except FileNotFoundError:
            self._problems.append(f"{path.name}: is missing")
        except OSError as error:
            raise ArtefactError(f"{path}: {error.strerror}", hint="check its permissions") from None

    def _line(self, place: str, line: bytes) -> None:
        record = _parsed(line)
        if record is None or not line.endswith(b"\n"):
            self._unfinished()
            self._pending = place, line
            return
        if self._pending is not None:
            torn, left = self._pending
            if (
                record["event"] == TORN
                and record["body"].get("sha256") == hashlib.sha256(left.rstrip(b"\n")).hexdigest()
            ):
                self._torn.append(f"{torn}: unfinished: its writer was killed, as the record after it says")
                self._pending = None
            self._unfinished()
        if record["hash"] != digest_of(record, self._key):
            self._problems.append(f"{place}: record {record['n']} was changed, or hashed with another key")
        if record["n"] != self._number + 1 or record["before"] != self._last:
            self._problems.append(
                f"{place}: record {record['n']} does not follow record {self._number}: "
                "lines were removed, added or moved"
            )
        self._last, self._number = record["hash"], record["n"]
        self._seen_known = self._seen_known or record["hash"] == self._known

    def _unfinished(self) -> None:
        if self._pending is not None:
            self._problems.append(f"{self._pending[0]}: no record, and none after it says why")
            self._pending = None

    def checked(self, head: Head, files: int) -> Checked:
        """Hold the end of the log against its head."""
        if self._pending is not None and self._number == head.number:
            self._torn.append(f"{self._pending[0]}: unfinished: its writer was killed, and nothing was written since")
            self._pending = None
        self._unfinished()
        if self._number < head.number:
            self._problems.append(f"the last {head.number - self._number} records are missing: the log was cut off")
        elif self._number == head.number and self._last != head.digest:
            self._problems.append(f"record {self._number} is not the one that `{HEAD}` names")
        elif self._number > head.number + 1:
            self._problems.append(f"`{HEAD}` names record {head.number}, and {self._number - head.number} follow it")
        if not self._seen_known:
            self._problems.append(f"no record has the hash {self._known}: the log was written anew, or is another one")
        return Checked(str(self._directory), self._number, files, self._last, tuple(self._problems), tuple(self._torn))
