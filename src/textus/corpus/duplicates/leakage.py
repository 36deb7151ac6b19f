"""Measure how much of what is held out was learnt from: the share of held-out documents with a match in training.

It needs no clusters, so it holds for any split: by cluster, group or time, by files that were given, by the ends of
documents. Each held-out document is known by its lowest 64 runs of words, a random sample because runs are hashes.
Training documents are read once; one that holds a quarter of the sample is compared with the whole document. What is
shared by half is missed with probability 1.3e-5; a held-out document of 64 runs or fewer never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index, mixed
from textus.corpus.duplicates.candidates import Pairs
from textus.corpus.duplicates.config import LeakageConfig
from textus.corpus.duplicates.verify import Overlaps, Shingles, overlaps

_SAMPLE = 64
_MOST_OWNERS = 32
"""Of more held-out documents that share a sampled run, each is known by it with a chance of 32 / their number."""
_FEWEST_COMMON = 2
"""So many of those runs must be met where no other is: texts of one template share them and say different things."""
_SURE = 0.5
"""What share of the runs that are expected in common must be met in the sample; one at least."""
_LOW, _HIGH = np.uint64(2**32 - 1), np.uint64(32)
_FEWEST_BITS, _SPARSE_BITS, _MOST_BITS = 16, 6, 26
"""A table of up to 8 MB, in which at the best one bit of 64 is set."""
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


@dataclass(frozen=True)
class Sample:
    """What held-out documents are known by: some 550 bytes of each, and up to 8 MB."""

    runs: NDArray[np.uint32]
    """The sampled runs, in order."""
    owners: NDArray[np.uint32]
    """Which document each is of."""
    is_common: NDArray[np.bool_]
    """Whether more documents than are noted have the run."""
    needed: Index
    """How many of its sampled runs another document must hold to be worth comparing."""
    needed_common: Index
    """How many it must hold where all of them are common."""
    table: NDArray[np.uint8]
    """A bit for each way in which a run may begin: set where a sampled one does."""

    @classmethod
    def of(cls, shingles: Shingles, offsets: Index, config: LeakageConfig) -> Sample:
        """Take the lowest runs of each document."""
        counts = np.minimum(np.diff(offsets), _SAMPLE)
        owners = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
        places = np.arange(len(owners)) + np.repeat(offsets[:-1] - (np.cumsum(counts) - counts), counts)
        runs = shingles[places]
        chance = mixed((owners.astype(np.uint64) << _HIGH) | runs)
        order = np.lexsort((chance, runs))
        runs, owners = runs[order], owners[order]
        rank = np.arange(len(runs)) - np.searchsorted(runs, runs)
        is_common = np.searchsorted(runs, runs, side="right") - np.searchsorted(runs, runs) > _MOST_OWNERS
        known_by = rank < _MOST_OWNERS
        runs, owners, is_common = runs[known_by], owners[known_by], is_common[known_by]
        # A document of Jaccard index s has at least the share s of its runs in common with the other.
        kept = np.bincount(owners, minlength=len(counts))
        expected = min(config.likeness, config.containment) * kept
        needed: Index = np.maximum(_SURE * expected, 1).astype(np.int64)
        needed_common: Index = np.maximum(needed, np.minimum(kept, _FEWEST_COMMON))
        begins = np.zeros(1 << min(_MOST_BITS, max(_FEWEST_BITS, len(runs).bit_length() + _SPARSE_BITS)), bool)
        begins[runs >> np.uint32(33 - len(begins).bit_length())] = True
        table = np.packbits(begins, bitorder="little")
        return cls(runs, owners, is_common, needed, needed_common, table)

    @classmethod
    def read(cls, place: Path) -> Sample:
        """Map into memory what `write` wrote."""
        return cls(*(np.load(place / f"sample_{one.name}.npy", mmap_mode="r") for one in fields(cls)))

    def write(self, place: Path) -> None:
        """Write a file for each array."""
        for name, values in vars(self).items():
            np.save(place / f"sample_{name}.npy", values)

    def may_hold(self, runs: NDArray[np.uint32]) -> Index:
        """Return the places of all runs that were sampled, and of a few others."""
        begins = runs >> np.uint32(33 - (8 * len(self.table)).bit_length())
        bits = self.table[begins >> np.uint32(3)] >> (begins & np.uint32(7)).astype(np.uint8)
        return np.flatnonzero(bits & np.uint8(1))


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
    def of(cls, parts: Sequence[Matches], held_out: int) -> Leakage:
        """Keep the closest match of each of so many documents: by containment, then likeness, then number."""
        every = Matches.joined(parts)
        documents, train, likeness, containment = every.held_out, every.train, every.likeness, every.containment
        order = np.lexsort((train, -likeness, -containment, documents))
        seen, first = np.unique(documents[order], return_index=True)
        best = order[first]
        found = cls(np.full(held_out, NO_MATCH), np.zeros(held_out), np.zeros(held_out))
        found.matches[seen], found.likeness[seen] = train[best], likeness[best]
        found.containment[seen] = containment[best]
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


def straddling(pairs: Pairs, found: Overlaps, is_held_out: NDArray[np.bool_], likeness: float) -> Index:
    """Return the training documents that are at least so like one that is held out: what has to leave training."""
    first, second = is_held_out[pairs[:, 0]], is_held_out[pairs[:, 1]]
    apart = (first != second) & (found.jaccard >= likeness)
    return np.unique(np.where(first, pairs[:, 1], pairs[:, 0])[apart])
