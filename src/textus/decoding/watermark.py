"""Mark texts while they are drawn, so that who has the key can tell them later, and read the mark.

The last tokens and a secret key give every token a random number of its own, and these draw the next one, as Gumbel
noise, instead of those of `sampler.py` (Aaronson 2022). Over keys each token keeps its probability. Where the last
tokens have stood together before in the text, the ordinary numbers draw: the same numbers again would show, and whoever
counted them again would find marks in every refrain.

Who has the key looks up the number u of each token. Of a text that was not marked they are even between 0 and 1, and
the sum of -ln(1 - u) over n different contexts has a Gamma(n) distribution: the p-value is exact. A mark makes the sum
larger, the more the less certain the model was. Greedy texts have none, short ones hardly any, and a paraphrase none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textus.decoding.history import History
from textus.decoding.sampler import Places, uniform
from textus.errors import InputError

CONTEXT = 4
"""So many last tokens choose the numbers: more are harder to guess, and fewer survive an edit."""
_SHORTEST = 16
_AT_ONCE = 1 << 22
"""Random numbers that are made at a time."""


@dataclass(frozen=True)
class Watermark:
    """Leave only the token that the key draws."""

    key: bytes = field(repr=False)

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop all other tokens of the rows whose last tokens are new; behind it nothing is left to chance."""
        rows = map(history.row, range(len(logits)))
        said = [[*prompt, *written] for prompt, written in rows]
        marked = [number for number, tokens in enumerate(said) if is_new(tokens)]
        if not marked:
            return logits
        places = torch.tensor(marked, device=logits.device)
        noise = _numbers([said[number] for number in marked], self.key, logits).log_().neg_().log_()
        drawn = (logits[places].double() - noise).argmax(-1)
        found = logits.clone()
        found[places] = torch.full_like(logits[places], -math.inf).scatter(
            1, drawn[:, None], logits[places].gather(1, drawn[:, None])
        )
        return found


def is_new(tokens: Sequence[int]) -> bool:
    """Tell whether the last tokens are enough, and have not stood together before.

    >>> is_new([1, 2, 3, 4]), is_new([1, 2, 3]), is_new([1, 2, 1, 2, 1, 2, 1, 2])
    (True, False, False)
    """
    last = tuple(tokens[-CONTEXT:])
    return len(last) == CONTEXT and not any(
        tuple(tokens[at : at + CONTEXT]) == last for at in range(len(tokens) - CONTEXT)
    )


@dataclass(frozen=True)
class Mark:
    """What was read from a text."""

    tokens: int
    counted: int
    """Those behind a context that is new."""
    sum: float
    """Of -ln(1 - u) over these; without a mark it is about as large as `counted`."""
    p_value: float
    """Probability that a text without this mark has such a sum or a larger one."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


def read(tokens: Sequence[int], key: bytes, vocab: int) -> Mark:
    """Look for a mark in the tokens of a text; every context counts once."""
    seen: set[tuple[int, ...]] = set()
    places = []
    for at in range(CONTEXT, len(tokens)):
        context = tuple(tokens[at - CONTEXT : at])
        if context not in seen:
            places.append(at)
        seen.add(context)
    like, total = torch.empty(1, vocab), 0.0
    step = max(1, _AT_ONCE // vocab)
    for first in range(0, len(places), step):
        part = places[first : first + step]
        numbers = _numbers([tokens[at - CONTEXT : at] for at in part], key, like)
        drawn = numbers.gather(1, torch.tensor([[tokens[at]] for at in part]))
        total -= float(torch.log1p(-drawn).sum())
    return Mark(len(tokens), len(places), total, above(total, len(places)))


def above(total: float, count: int) -> float:
    """Return the probability that a sum of `count` standard exponentials is larger: that of a Gamma(count).

    >>> round(above(1.0, 1), 6) == round(math.exp(-1), 6), above(0.0, 3)
    (True, 1.0)
    """
    if total <= 0 or not count:
        return 1.0
    logs = [k * math.log(total) - math.lgamma(k + 1) for k in range(count)]
    highest = max(logs)
    return min(1.0, math.exp(highest - total) * math.fsum(math.exp(one - highest) for one in logs))


def read_key(path: str | Path) -> bytes:
    """Read a key from a file, without the white space around it."""
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the path of the key") from None
    if len(key) < _SHORTEST:
        raise InputError(f"{path}: a key of {len(key)} bytes", hint="take at least 16, as `openssl rand -hex 32` makes")
    return key


def _numbers(said: Sequence[Sequence[int]], key: bytes, like: Tensor) -> Float[Tensor, "rows vocab"]:
    """Return for each row the numbers of all tokens: whoever has not the key cannot tell them from chance."""
    seeds = [_seed(tokens[-CONTEXT:], key) for tokens in said]
    return uniform(Places.each([(seed, 0, 0) for seed in seeds], like.device), like.shape[1])


def _seed(context: Sequence[int], key: bytes) -> int:
    words = b"".join(token.to_bytes(8, "little") for token in context)
    hashed = hashlib.blake2b(words, digest_size=8, key=hashlib.sha256(key).digest())
    return int.from_bytes(hashed.digest(), "little")
