"""Measure how much of what is held out was learnt from: the share of held-out documents with a match in training.

It needs no clusters, so it holds for any split: by cluster, group or time, by files that were given, by the ends of
documents. Each held-out document is known by its lowest 64 runs of words, a random sample because runs are hashes.
Training documents are read once; one that holds a quarter of the sample is compared with the whole document. What is
shared by half is missed with probability 1.3e-5; a held-out document of 64 runs or fewer never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.duplicates.candidates import Pairs
from textus.corpus.duplicates.config import LeakageConfig
from textus.corpus.duplicates.sample import Sample
from textus.corpus.duplicates.verify import Overlaps, Shingles, overlaps

_LOW, _HIGH = np.uint64(2**32 - 1), np.uint64(32)
NO_MATCH = -1


@dataclass(frozen=True)
class Matches:
    """Pairs of a training and a held-out document that count as seen."""

    train: Index
    held_out: Index
    likeness: NDArray[np.float64]
    """Jaccard index."""
    containment: NDArray[np.float64]
    """Share of the held-out document's runs."""

    @classmethod
    def joined(cls, parts: Sequence[Matches]) -> Matches:
        """Put those of several parts of the training side behind one another."""
        return cls(
            *(
                np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])
                for name, kind in (("train", int), ("held_out", int), ("likeness", float), ("containment", float))
            )
        )


class HeldOut:
    """Held-out documents, to be looked for in others.

    `shingles` and `offsets` are theirs (`shingle_sets`); these and the sample of them may be mapped into memory.
    """

    def __init__(self, shingles: Shingles, offsets: Index, sample: Sample, config: LeakageConfig) -> None:
        self._sets, self._sample, self._config = (shingles, offsets), sample, config

    @classmethod
    def of(cls, shingles: Shingles, offsets: Index, config: LeakageConfig) -> HeldOut:
        """Sample documents, to look for them at once."""
        return cls(shingles, offsets, Sample.of(shingles, offsets, config), config)

    def __len__(self) -> int:
        return len(self._sample.needed)

    def seen_in(self, shingles: Shingles, offsets: Index, first: int = 0) -> Matches:
        """Compare training documents with all that are held out; theirs are the numbers from `first` on."""
        pairs = self._candidates(shingles, offsets)
        found = overlaps(pairs, shingles, offsets, self._sets)
        likeness, containment = found.jaccard, found.shared / np.maximum(found.second, 1)
        seen = (likeness >= self._config.likeness) | (containment >= self._config.containment)
        return Matches(pairs[seen, 0] + first, pairs[seen, 1], likeness[seen], containment[seen])

    def among(self, runs: int = 1 << 22) -> Matches:
        """Compare the held-out documents with each other, as training documents, so many runs at a time."""
        (shingles, offsets), parts, first = self._sets, [], 0
        while first < len(self):
            stop = max(first + 1, int(np.searchsorted(offsets, offsets[first] + runs, "right")) - 1)
            own = offsets[first : stop + 1]
            parts.append(self.seen_in(np.asarray(shingles[own[0] : own[-1]]), own - own[0], first))
            first = stop
        return Matches.joined(parts)

    def holders(self, runs: NDArray[np.uint32], offsets: Index) -> Index:
        """Return the numbers of all training documents worth comparing; their runs may be in any order, and repeated.

        Few are, and only of these need sets be made.
        """
        return np.unique(self._candidates(runs, offsets)[:, 0])

    def _candidates(self, shingles: Shingles, offsets: Index) -> Pairs:
        sample, places = self._sample, self._sample.may_hold(shingles)
        starts = np.searchsorted(sample.runs, shingles[places])
        counts = np.searchsorted(sample.runs, shingles[places], side="right") - starts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = np.repeat(starts, counts) + within
        train = np.repeat(np.searchsorted(offsets, places, side="right") - 1, counts)
        met = (train.astype(np.uint64) << _HIGH) | sample.owners[entries].astype(np.uint64)
        packed, hits = np.unique(met, return_counts=True)
        is_rare = np.isin(packed, np.unique(met[~sample.is_common[entries]]), assume_unique=True)
        pairs = np.stack((packed >> _HIGH, packed & _LOW), axis=1).astype(np.int64)
        needed = np.where(is_rare, sample.needed[pairs[:, 1]], sample.needed_common[pairs[:, 1]])
        return np.asarray(pairs[hits >= needed])


@dataclass(frozen=True)
class Leakage:
    """The closest match of each held-out document in training: what parts of the training side add up to."""

    matches: Index
    """The number of the training document, or `NO_MATCH`."""
    likeness: NDArray[np.float64]
    containment: NDArray[np.float64]

    @classmethod
    def of(cls, parts: Iterable[Matches], held_out: int) -> Leakage:
        """Keep the closest match of each of so many documents: by containment, then likeness, then number."""
        found = cls(np.full(held_out, NO_MATCH), np.zeros(held_out), np.zeros(held_out))
        for part in parts:
            order = np.lexsort((part.train, -part.likeness, -part.containment, part.held_out))
            seen, first = np.unique(part.held_out[order], return_index=True)
            best = order[first]
            train, likeness, containment = part.train[best], part.likeness[best], part.containment[best]
            matches, same = found.matches[seen], containment == found.containment[seen]
            is_closer = (matches == NO_MATCH) | (containment > found.containment[seen])
            is_closer |= same & (likeness > found.likeness[seen])
            is_closer |= same & (likeness == found.likeness[seen]) & (train < matches)
            seen = seen[is_closer]
            found.matches[seen], found.likeness[seen] = train[is_closer], likeness[is_closer]
            found.containment[seen] = containment[is_closer]
        return found

    def summary(self, sizes: Index, worst: int = 20) -> LeakageSummary:
        """Count documents and bytes that were seen, and name the worst matches."""
        seen = self.matches != NO_MATCH
        order = np.lexsort((-self.likeness, -self.containment))[: min(worst, int(seen.sum()))]
        named = [
            LeakedPair(int(one), int(self.matches[one]), float(self.likeness[one]), float(self.containment[one]))
            for one in order
        ]
        return LeakageSummary(len(seen), int(seen.sum()), int(sizes.sum()), int(sizes[seen].sum()), tuple(named))


@dataclass(frozen=True)
class LeakedPair:
    """A held-out document and the training document that shows it."""

    held_out: int
    train: int
    likeness: float
    containment: float


@dataclass(frozen=True)
class LeakageSummary:
    """The number that a score on the held-out part should carry."""

    documents: int
    leaked_documents: int
    num_bytes: int
    leaked_bytes: int
    worst: tuple[LeakedPair, ...]

    @property
    def share(self) -> float:
        """Return the share of held-out documents that were seen."""
        return self.leaked_documents / max(self.documents, 1)

    @property
    def share_of_bytes(self) -> float:
        """Return the share of held-out bytes in documents that were seen."""
        return self.leaked_bytes / max(self.num_bytes, 1)


def known(found: Leakage, among: Matches) -> NDArray[np.bool_]:
    """Tell which held-out documents are better trained on, so that none that is left has a match in training.

    These are the ones with a match there, and then those that match one of them: `among` are the matches of the
    held-out documents with each other.
    """
    moved: NDArray[np.bool_] = found.matches != NO_MATCH
    while (further := moved[among.train] & ~moved[among.held_out]).any():
        moved[among.held_out[further]] = True
    return moved


def straddling(pairs: Pairs, found: Overlaps, sides: NDArray[np.bool_], likeness: float) -> Index:
    """Return the training documents that are at least so like one that is held out: what has to leave training.

    `sides` tells of both documents of each pair whether they are held out.
    """
    first, second = sides[:, 0], sides[:, 1]
    apart = (first != second) & (found.jaccard >= likeness)
    return np.unique(np.where(first, pairs[:, 1], pairs[:, 0])[apart])
