"""Show several sources in given proportions: a pure function from a window's number to a source and a number in it.

The sources take turns by a pattern that repeats. A source may have a turn when its share of the turns so far is more
than it had; of those that may, the one whose next turn is due first has it (the quota method, Still 1979). So after any
number of turns no source is a whole window ahead of its share or behind it, as sources drawn by chance are:

```
weights 3 : 2 : 1      turns  a b a b a c | a b a b a c | ...        window 8 is of a, and its number 4 there
```
Each source's own windows come in their own order without a gap, epoch after epoch, whatever turns it has. Nothing is
replayed to resume: the place of any window is computed from its number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import PurePath
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from textus import fingerprint
from textus.corpus.document import Document
from textus.dataset.config import MixtureConfig
from textus.dataset.pack import Indices, Source, Windows
from textus.dataset.selection import Selection
from textus.dataset.split import TokenSplit
from textus.dataset.window import Window
from textus.errors import ConfigError
from textus.tokenizer.fertility import source_of

MOST_TURNS = 1 << 14
"""Of a pattern. Weights whose smallest common pattern is longer are rounded to shares of this many turns."""


def by_temperature(sizes: Mapping[str, int], temperature: float) -> dict[str, float]:
    """Return weights in proportion to sizes to the power 1 / temperature.

    >>> by_temperature({"large": 100, "small": 1}, 2.0)
    {'large': 10.0, 'small': 1.0}
    """
    return {name: size ** (1 / temperature) for name, size in sizes.items()}


def turns(weights: Sequence[float]) -> list[int]:
    """Return how many turns of a pattern each weight has: exactly in proportion where `MOST_TURNS` allow it.

    Elsewhere the shares are rounded to `MOST_TURNS`, by largest remainders, and no source is left without a turn.

    >>> turns([0.5, 0.25, 0.25]), turns([3, 6])
    ([2, 1, 1], [1, 2])
    """
    exact = [Fraction(str(weight)) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    whole = [weight // math.gcd(*whole) for weight in whole]
    if sum(whole) <= MOST_TURNS:
        return whole
    free = MOST_TURNS - len(whole)
    shares = [Fraction(weight * free, sum(whole)) for weight in whole]
    found = [1 + int(share) for share in shares]
    order = sorted(range(len(whole)), key=lambda index: (int(shares[index]) - shares[index], index))
    for index in order[: MOST_TURNS - sum(found)]:
        found[index] += 1
    return found


def pattern(weights: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return which source has each turn, `sum(weights)` turns in all.

    >>> pattern([3, 2, 1]).tolist()
    [0, 1, 0, 1, 0, 2]
    """
    total, shown, found = sum(weights), [0] * len(weights), []
    due = [-(-total // weight) for weight in weights]
    for turn in range(1, total + 1):
        may = (index for index, weight in enumerate(weights) if shown[index] * total < turn * weight)
        chosen = min(may, key=lambda index: (due[index], index))
        found.append(chosen)
        shown[chosen] += 1
        due[chosen] = -(-(shown[chosen] + 1) * total // weights[chosen])
    return np.array(found, np.int64)


@dataclass
class Mixture:
    """Windows of several sources, numbered from 0 without end; it stands where `Windows` stands."""

    names: tuple[str, ...]
    windows: tuple[Windows, ...]
    """Of each source."""
    weights: tuple[float, ...]
    split: TokenSplit
    """All documents; its fingerprint tells of the proportions too."""
    _turns: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        assert len(self.names) == len(self.windows) == len(self.weights) > 0
        self._turns = turns(self.weights)
        self._pattern = pattern(self._turns)
        # How many turns its source had before each turn.
        self._before = np.zeros(len(self._pattern), np.int64)
        for source in range(len(self.names)):
            self._before[self._pattern == source] = np.arange(self._turns[source])
        self.context_length, self.offset = self.windows[0].context_length, self.windows[0].offset
        told = fingerprint.of_value([self.split.data_fingerprint, list(self.names), self._turns])
        self.split = TokenSplit(self.split.name, self.split.shards, told)

    @property
    def time(self) -> int:
        """Return the tokens in a row, those of context included."""
        return self.windows[0].time

    @property
    def per_epoch(self) -> int:
        """Count the windows that would show every token of every source once."""
        return sum(windows.per_epoch for windows in self.windows)

    def places(self, numbers: Sequence[int] | Indices) -> tuple[Indices, Indices]:
        """Return which source each window is of, and its number among that source's windows."""
        rounds, place = np.divmod(np.asarray(numbers, np.int64), len(self._pattern))
        source = self._pattern[place]
        return source, rounds * np.array(self._turns)[source] + self._before[place]

    def rows(self, numbers: Sequence[int] | Indices) -> Window:
        """Return the windows with these numbers, one a row."""
        which, inside = self.places(numbers)
        shown: list[int] = np.unique(which).tolist()
        parts = [self.windows[source].rows(inside[which == source]) for source in shown]
        back = torch.from_numpy(np.argsort(np.argsort(which, kind="stable"), kind="stable"))
        joined = Window.joined(parts, back)
        assert joined.origin is not None
        # of its source in our numbering, in which the other sources have their turns too
        spread = np.array([len(self._pattern) / turns for turns in self._turns])[which]
        per_epoch = torch.from_numpy((joined.origin.per_epoch.numpy() * spread).astype(np.int64))
        origin = replace(joined.origin, numbers=torch.from_numpy(np.asarray(numbers, np.int64)), per_epoch=per_epoch)
        return replace(joined, origin=origin)

    def sources(self, number: int) -> list[Source]:
        """Say which tokens of which documents, by their numbers in the whole split, a window shows."""
        which, inside = self.places([number])
        windows = self.windows[int(which[0])]
        shown = windows.sources(int(inside[0]))
        if not isinstance(windows.split, Selection):
            return shown
        return [Source(int(windows.split.documents[one.document]), one.start, one.stop) for one in shown]

    def epochs(self, num_windows: int) -> dict[str, float]:
        """Return how often each source has been shown whole after so many windows."""
        rounds, rest = divmod(num_windows, len(self._pattern))
        shown = rounds * np.array(self._turns) + np.bincount(self._pattern[:rest], minlength=len(self.names))
        return {
            name: int(count) / windows.per_epoch
            for name, windows, count in zip(self.names, self.windows, shown, strict=True)
        }


def names_of(document: Document) -> list[str]:
    """Return the names that a document's source answers to: what `source_of` says, then the parts of its path.

    >>> names_of(Document("", "texts/law/act.txt"))
    ['texts/law', 'texts', 'law', 'act.txt', 'act']
    """
    path = PurePath(document.source)
    return [source_of(document), *path.parts, path.stem]


def mix(
    split: TokenSplit,
    sources: Sequence[Sequence[str]],
    config: MixtureConfig,
    context_length: int,
    offset: Literal[0, 1],
    seed: int,
) -> Mixture:
    """Mix the documents of a split; `sources` are the names that each one answers to, the most telling first.

    Each document goes to the first weight whose name is among its own. Raises `ConfigError` where a document has no
    weight, or a weight no document.
    """
    weights = config.parsed()
    groups: dict[str, list[int]] = {name: [] for name in weights}
    for number, names in enumerate(sources):
        known = [name for name in weights if name in names]
        group = known[0] if known else "others" if "others" in weights else names[0]
        if weights and group not in weights:
            raise ConfigError(
                f"`mixture.weights` has none for {group!r}", hint="give it one, or others=WEIGHT for all that remain"
            )
        groups.setdefault(group, []).append(number)
    empty = [name for name, documents in groups.items() if not documents]
    if empty:
        there = sorted({names[0] for names in sources})
        raise ConfigError(
            f"`mixture.weights`: no training text is of {empty[0]!r}", hint=f"sources: {', '.join(there[:12])}"
        )
    parts = {name: Selection(split, f"{split.name} ({name})", documents) for name, documents in groups.items()}
    if not weights:
        weights = by_temperature({name: part.num_tokens for name, part in parts.items()}, config.temperature)
    names = tuple(parts)
    windows = tuple(Windows(parts[name], context_length, offset, seed) for name in names)
    return Mixture(names, windows, tuple(weights[name] for name in names), split)
