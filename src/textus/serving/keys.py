"""Who may ask, and how often: bearer keys, of which only hashes are kept, and a bucket of tokens for each.

A file of keys has one a line, with a name behind it if it is to be told in logs: the key itself, or `sha256:` and the
hash that `printf %s KEY | sha256sum` prints.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textus.errors import ConfigError, InputError
from textus.serving.config import Limits
from textus.serving.refusal import Refusal

HASHED = "sha256:"
SHORTEST = 16
"""Characters of a key; a shorter one is guessed."""
NOBODY = "anyone"
"""Who asks where there are no keys."""


@dataclass(frozen=True)
class Keys:
    """Know who holds which key; without any, everybody may ask."""

    hashes: tuple[tuple[bytes, str], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a file of keys; raise `InputError` or `ConfigError` naming the line."""
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", hint="check the path of --key-file") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 at byte {error.start}", hint="write one key a line") from None
        found: list[tuple[bytes, str]] = []
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                key, _, name = line.strip().partition(" ")
                found.append((_hash(key, f"{path}, line {number}"), name.strip() or f"key {len(found) + 1}"))
        if not found:
            raise ConfigError(f"{path}: no keys", hint="write one a line, such as `openssl rand -hex 24` prints")
        return cls(tuple(found))

    def holder(self, authorization: str) -> str:
        """Return who shows this header, or raise 401.

        Every hash is compared, each in constant time, so that the time tells nothing.
        """
        if not self.hashes:
            return NOBODY
        scheme, _, key = authorization.partition(" ")
        shown = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        found = [name for kept, name in self.hashes if hmac.compare_digest(kept, shown)]
        if scheme.lower() != "bearer" or not found:
            raise Refusal(
                401,
                "a key is needed, as in `Authorization: Bearer KEY`" if not key else "the key is not known here",
                code="invalid_api_key",
            )
        return found[0]


def _hash(key: str, where: str) -> bytes:
    if key.startswith(HASHED):
        try:
            kept = bytes.fromhex(key.removeprefix(HASHED))
        except ValueError:
            kept = b""
        if len(kept) != hashlib.sha256().digest_size:
            raise ConfigError(f"{where}: not {HASHED} and 64 hexadecimal digits", hint="printf %s KEY | sha256sum")
        return kept
    if len(key) < SHORTEST:
        raise ConfigError(
            f"{where}: a key of {len(key)} characters; {SHORTEST} are needed", hint="openssl rand -hex 24"
        )
    return hashlib.sha256(key.encode()).digest()


class Bucket:
    """Let so much pass in a minute, and as much at once; what is taken beyond is a debt.

    >>> bucket = Bucket(60, now=0.0)
    >>> bucket.take(61, now=0.0), bucket.wait(now=0.0), bucket.wait(now=3.0)
    (None, 2.0, 0.0)
    """

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_second, self._most = per_minute / 60, float(per_minute)
        self._left, self._at = self._most, now

    def wait(self, now: float) -> float:
        """Return in how many seconds one more may pass; 0 if now."""
        self._fill(now)
        return max(0.0, (min(1.0, self._most) - self._left) / self._per_second)

    def take(self, amount: float, now: float) -> None:
        """Take what passes."""
        self._fill(now)
        self._left -= amount

    def _fill(self, now: float) -> None:
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now


class Rates:
    """Hold the two buckets of every key."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def admit(self, who: str) -> None:
        """Count a request, or raise 429 where there were too many."""
        for what, limit in self._both():
            bucket = self._bucket(who, what, limit)
            if bucket and (seconds := bucket.wait(self._clock())):
                raise Refusal(
                    429,
                    f"more than {limit} {what} in a minute with this key; ask again in {seconds:.0f} s",
                    code="rate_limit_exceeded",
                    retry_after=seconds,
                )
        if bucket := self._bucket(who, "requests", self._limits.requests_per_minute):
            bucket.take(1, self._clock())

    def used(self, who: str, tokens: int) -> None:
        """Count the tokens of an answer, whether it was read to its end or not."""
        if bucket := self._bucket(who, "tokens", self._limits.tokens_per_minute):
            bucket.take(tokens, self._clock())

    def _both(self) -> tuple[tuple[str, int | Literal["off"]], ...]:
        return ("requests", self._limits.requests_per_minute), ("tokens", self._limits.tokens_per_minute)

    def _bucket(self, who: str, what: str, limit: int | Literal["off"]) -> Bucket | None:
        if limit == "off":
            return None
        return self._buckets.setdefault((who, what), Bucket(limit, self._clock()))
