"""Find, count and redact personal data, quickly: a scan for what a kind cannot be without comes before its pattern."""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import TextBatch
from textus.corpus.privacy.config import KINDS, Kind, PrivacyConfig
from textus.corpus.privacy.gate import may_hold_numbers, may_hold_secrets
from textus.corpus.privacy.numbers import numbers
from textus.corpus.privacy.secrets import secrets

_DOMAIN = re.compile(r"(?:[^\W_](?:[^\W_]|-(?=[^\W_]|-)){0,62}\.)+([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?!\w)")
_LOCAL = re.compile(r"[^\W][\w.+%&'-]*(?<!\.)\Z")
_PASSWORD = re.compile(r"(?<=://)[^\s/:@]{0,64}:([^\s/:@<>]{1,128})\Z")
_LONGEST_LOCAL = 64
_NOT_DOMAINS = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css", "html", "json"})
"""Endings of files in names such as `icon@2x.png`."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Say what was found where."""

    start: int
    end: int
    """The place behind the last character."""
    kind: Kind


def placeholder(kind: Kind) -> str:
    """Return what stands in the place of a redacted finding.

    A word in angle brackets, as the data of StarCoder have it: it cannot be taken for somebody's real address, as an
    invented one can; a model learns it as one fixed sequence, which decoding can forbid; and no finder finds it again.
    All findings of a kind share one: with numbers behind it, what one person left in a text could be put together.
    """
    return f"<{kind.upper()}>"


def find(text: str, *, checked: bool = False) -> list[Finding]:
    """Find personal data, in order, without overlaps; `checked` leaves out numbers that fail their own check.

    >>> [(found.kind, found.start, found.end) for found in find("Write to ada@example.org, or call +44 20 7946 0958.")]
    [('email', 9, 24), ('phone', 34, 50)]
    """
    return _apart([*_secrets(text), *_emails(text), *numbers(text, checked)])


def _apart(candidates: Iterable[tuple[Kind, int, int]]) -> list[Finding]:
    """Put findings in order, and leave out what overlaps one that was found before."""
    found: list[Finding] = []
    for kind, start, end in candidates:
        one = Finding(start, end, kind)
        place = bisect(found, one)
        if (not place or found[place - 1].end <= start) and (place == len(found) or end <= found[place].start):
            found.insert(place, one)
    return found


def count(texts: Sequence[str], batch: TextBatch, *, checked: bool = False) -> dict[Kind, NDArray[np.int64]]:
    """Count the findings of each kind in each text; `batch` holds the same texts."""
    counts = {kind: np.zeros(len(texts), np.int64) for kind in KINDS}
    may_hold = zip(texts, may_hold_secrets(batch).tolist(), may_hold_numbers(batch).tolist(), strict=True)
    for row, (text, secret, number) in enumerate(may_hold):
        if secret or number or "@" in text:
            of_numbers = numbers(text, checked) if number else ()
            for found in _apart([*(_secrets(text) if secret else ()), *_emails(text), *of_numbers]):
                counts[found.kind][row] += 1
    return counts


def is_dropped(counts: Mapping[Kind, NDArray[np.int64]], config: PrivacyConfig) -> NDArray[np.bool_]:
    """Tell which texts have something for which `config` drops a document."""
    dropped = np.zeros(len(counts[KINDS[0]]), bool)
    for kind in KINDS:
        if config.of(kind) == "drop":
            dropped |= counts[kind] > 0
    return dropped


def redact(text: str, config: PrivacyConfig) -> tuple[str, Counter[Kind]]:
    """Put a placeholder in the place of everything that `config` redacts; return how many of each kind there were.

    Nothing that it redacts is found in the result, so redacting twice is redacting once.

    >>> redact("Write to ada@example.org.", PrivacyConfig(policy="redact"))
    ('Write to <EMAIL>.', Counter({'email': 1}))
    """
    redacted = {kind for kind in KINDS if config.of(kind) == "redact"}
    counts: Counter[Kind] = Counter()
    # What overlapped a finding may be one by itself when that is gone. No finding has a placeholder in it: this ends.
    while redacted:
        found = [one for one in find(text, checked=config.checked) if one.kind in redacted]
        if not found:
            break
        counts.update(one.kind for one in found)
        pieces, at = [], 0
        for one in found:
            pieces += [text[at : one.start], placeholder(one.kind)]
            at = one.end
        text = "".join([*pieces, text[at:]])
    return text, counts


def hidden(text: str, config: PrivacyConfig) -> str:
    """Return a text to be shown to people, with an x for each letter and digit of what `config` does not keep.

    >>> hidden("Write to ada@example.org.", PrivacyConfig(policy="drop"))
    'Write to xxx@xxxxxxx.xxx.'
    """
    shown = list(text)
    for one in find(text, checked=config.checked):
        if config.of(one.kind) != "keep":
            shown[one.start : one.end] = ("x" if letter.isalnum() else letter for letter in text[one.start : one.end])
    return "".join(shown)


def _secrets(text: str) -> Iterator[tuple[Kind, int, int]]:
    return (("secret", *span) for span in secrets(text))


def _emails(text: str) -> Iterator[tuple[Kind, int, int]]:
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        before = text[max(0, at - 4 * _LONGEST_LOCAL) : at]
        if (password := _PASSWORD.search(before)) and re.match(r"\w", text[at + 1 : at + 2]):
            yield "secret", at - len(before) + password.start(1), at
        elif domain and domain[1].lower() not in _NOT_DOMAINS:
            local = _LOCAL.search(before[-_LONGEST_LOCAL:])
            if local and ".." not in local[0]:
                yield "email", at - len(local[0]), domain.end()
        at = text.find("@", at + 1)
