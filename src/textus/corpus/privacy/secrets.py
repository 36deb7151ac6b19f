"""What opens a door: API keys, tokens, passwords and private keys."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from textus.corpus.privacy.gate import NAME_BEFORE

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]{0,20000}-----END [A-Z0-9 ]{0,40}-----|(?:\s[A-Za-z0-9+/=]{20,})*)"
)
# Each has a marker that a scan for a plain string finds before any pattern is tried. In prose an underscore is rare.
_TOKENS = (
    ("KIA", re.compile(r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"), False),
    ("ASIA", re.compile(r"(?<![A-Za-z0-9])ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"), False),
    ("glpat-", re.compile(r"(?<![A-Za-z0-9_])glpat-[A-Za-z0-9_-]{20,}"), False),
    ("xox", re.compile(r"(?<![A-Za-z0-9_])xox[abeprs]-[A-Za-z0-9-]{10,}"), True),
    ("hooks.slack", re.compile(r"hooks\.slack\.com/services/[A-Za-z0-9/_]{20,}"), False),
    ("sk-", re.compile(r"(?<![A-Za-z0-9_-])sk-(?:[a-z]{2,8}[0-9]{0,2}-){0,2}[A-Za-z0-9_-]{20,}"), True),
    ("AIza", re.compile(r"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"), False),
    ("eyJ", re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{10,}"), False),
)
_UNDERSCORED = re.compile(
    r"(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{40,255}|hf_[A-Za-z0-9]{30,}"
    r"|[prsw]k_(?:live|test)_[A-Za-z0-9]{16,})"
)
_UNDERSCORED_MARKERS = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "_pat_", "hf_", "k_live_", "k_test_")
_NAMES = ("secret", "token", "passw", "key", "credential")
_ASSIGNED = re.compile(
    r"(?i)(?:secret|token|passw(?:or)?d|credential|(?:api|access|auth|private|account|encryption)[_.-]?key)s?"
    r"[A-Za-z0-9_]{0,16}[\"']?\]?[ \t]{0,3}(?::=|=>|[:=])[ \t]{0,3}"
    r"(?:[\"'`]([^\s\"'`]{8,200})[\"'`]|([A-Za-z0-9+/=_.~-]{20,200})(?![A-Za-z0-9+/=_.~(\[-]))"
)
_VALUE_BEHIND = 220
_SHORT_VALUE, _LONG_BITS, _SHORT_BITS, _TOKEN_BITS = 16, 3.5, 2.9, 2.5


def secrets(text: str) -> Iterator[tuple[int, int]]:
    """Find keys and tokens of known services, private keys, and random values given to a name such as `api_key`."""
    if "-----BEGIN" in text:
        for found in _PRIVATE_KEY.finditer(text):
            yield found.span()
    for marker, pattern, may_be_words in _TOKENS:
        if marker in text:
            for found in pattern.finditer(text):
                if not may_be_words or _is_token(found[0]):
                    yield found.span()
    if "_" in text and any(marker in text for marker in _UNDERSCORED_MARKERS):
        for found in _UNDERSCORED.finditer(text):
            yield found.span()
    # Signs of assignment are rare in prose, and one character is found faster than a word.
    for sign in "=:":
        at = text.find(sign)
        while at >= 0:
            before = text[max(0, at - NAME_BEFORE) : at].lower()
            if any(name in before for name in _NAMES):
                yield from _assigned(text, at)
            at = text.find(sign, at + 1)


def _assigned(text: str, sign: int) -> Iterator[tuple[int, int]]:
    """Find the random value given to a name by the sign of assignment there."""
    for found in _ASSIGNED.finditer(text, max(0, sign - NAME_BEFORE), sign + _VALUE_BEHIND):
        group = 1 if found[1] else 2
        if found.start() < sign < found.start(group) and _is_random(found[group]):
            yield found.span(group)


def entropy(value: str) -> float:
    """Return the bits that each character carries, by how often it comes in `value` itself."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


def _is_token(value: str) -> bool:
    """Tell a token from words joined by hyphens; its prefix has already said what it is."""
    longest = max(re.split("[-_]", value), key=len)
    return len(longest) >= 8 and entropy(longest) >= _TOKEN_BITS and not (longest.islower() and longest.isalpha())


def _is_random(value: str) -> bool:
    """Tell a random value from a word, a path or a placeholder: it mixes letters with several digits, evenly."""
    num_digits = sum(char in "0123456789" for char in value)
    num_letters = sum(char.isascii() and char.isalpha() for char in value)
    bits = _LONG_BITS if len(value) >= _SHORT_VALUE else _SHORT_BITS
    return num_digits >= 2 and num_letters >= 2 and entropy(value) >= bits
