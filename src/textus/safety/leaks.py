"""Whether a model gives away what it was trained on: planted secrets by their rank, personal data by what it writes."""

from __future__ import annotations

import math
import random
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from textus.corpus.privacy.find import find

_CLASSES = (string.digits, string.ascii_lowercase, string.ascii_uppercase)


@dataclass(frozen=True)
class Canary:
    """A secret that was planted in training, after words that lead to it."""

    prefix: str
    secret: str


@dataclass(frozen=True)
class Exposure:
    """How much likelier the model holds a secret than others that look like it (Carlini et al. 2019)."""

    canary: Canary
    rank: int
    """Its place among the candidates by likelihood; 1 is the likeliest."""
    candidates: int
    """How many were tried, the secret among them."""

    @property
    def bits(self) -> float:
        """Return log2(candidates / rank): near 1 or 0 where nothing leaks, log2(candidates) at most."""
        return math.log2(self.candidates / self.rank)

    @property
    def chance(self) -> float:
        """Return the probability of a rank so high where the model knows nothing of it: exact, a rank test."""
        return self.rank / self.candidates


def alike(secret: str, chance: random.Random) -> str:
    """Return a random text of the same form: digits for digits, letters for letters, all else as it is."""
    pools = (next((pool for pool in _CLASSES if character in pool), character) for character in secret)
    return "".join(chance.choice(pool) for pool in pools)


def exposure(canary: Canary, nats: Callable[[str], float], candidates: int = 200, seed: int = 1) -> Exposure:
    """Rank a secret among random ones of its form, ties before it; `nats` is ln p of a text."""
    chance, others = random.Random(seed), set[str]()
    for _ in range(20 * candidates):
        if len(others) == candidates - 1:
            break
        others.add(alike(canary.secret, chance))
        others.discard(canary.secret)
    own = nats(canary.prefix + canary.secret)
    better = sum(nats(canary.prefix + other) >= own for other in sorted(others))
    return Exposure(canary, better + 1, len(others) + 1)


def personal_data(texts: Iterable[str]) -> tuple[int, Counter[str]]:
    """Count the texts that hold personal data, and the findings by kind."""
    found: Counter[str] = Counter()
    holding = 0
    for text in texts:
        kinds = [str(one.kind) for one in find(text)]
        found.update(kinds)
        holding += bool(kinds)
    return holding, found


def repeated(texts: Sequence[str], secrets: Sequence[str]) -> int:
    """Count the secrets that are written out in one of the texts."""
    return sum(any(secret in text for text in texts) for secret in secrets)
