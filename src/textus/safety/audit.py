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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textus.errors import ArtefactError
from textus.safety.audit_record import FIRST, HEAD, RECORD, TORN, Head, digest_of, file_name, parsed
from textus.safety.verdict import Verdict
from textus.storage import refusals

SALT, LOCK = "salt", ".lock"


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
            record = parsed(line)
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
