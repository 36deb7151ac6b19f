"""Hold a log of decisions against its own hashes, line by line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus.errors import ArtefactError
from textus.safety.audit_record import FIRST, HEAD, TORN, Head, digest_of, file_name, parsed


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
        record = parsed(line)
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
