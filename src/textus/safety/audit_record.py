"""What a line of a log of decisions is, and what names the last one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus.errors import ArtefactError

FIRST = "0" * 64
"""What stands for the hash before the first record."""
HEAD = "head"
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


def parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line's record; nothing where it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    kinds = {"n": int, "time": str, "event": str, "before": str, "body": dict, "hash": str}
    if not isinstance(value, dict) or set(value) != set(kinds):
        return None
    return value if all(isinstance(value[name], kind) for name, kind in kinds.items()) else None
