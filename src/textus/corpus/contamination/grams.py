"""Which runs of words the training text has, in a Bloom filter (Bloom 1970) that is kept beside the corpus.

An evaluation text comes later than the corpus, and may be any. A filter answers for all of them, from a third of the
bytes of the text: what training has is always found; what it has not is taken for found with probability
`false_share`, the share of bits that are set to the power of the number of hashes, some thousandths for prose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus import fingerprint, storage
from textus.corpus.batch import Hashes, TextBatch, mixed, text_batches
from textus.corpus.corpus import Corpus
from textus.corpus.store import read_texts
from textus.errors import ResourceError
from textus.progress import SILENT, Progress

KIND = "grams"
VERSION = 1
"""Raised whenever the same corpus gives other bits."""
SUFFIX = ".grams"
"""The filter of `corpus/` is in `corpus.grams/`."""
_FILE = "bits.npy"
_HASHES = 7
_BITS_PER_BYTE = 2.5
_LEAST_BITS = 1 << 16


class Grams:
    """The runs of `size` words of some texts; a text of fewer words has one run, of all its words.

    >>> grams = Grams.of(["one two three four", "five six"], 3)
    >>> grams.coverage(["Two, three: FOUR five", "six five four", "five six", ""]).tolist()
    [0.5, 0.0, 1.0, 0.0]
    """

    def __init__(self, bits: NDArray[np.uint8], size: int) -> None:
        self.bits, self.size = bits, size

    @classmethod
    def of(cls, texts: Iterable[str], size: int, num_bytes: int = 0) -> Grams:
        """Make a filter of texts that have about `num_bytes` together."""
        bits = max(_LEAST_BITS, int(_BITS_PER_BYTE * num_bytes))
        grams = cls(np.zeros(-(-bits // 8), np.uint8), size)
        for batch in text_batches(texts):
            grams.add(batch.ngrams(size)[0])
        return grams

    @property
    def false_share(self) -> float:
        """Return with what probability a run is found that is not there."""
        return float(np.bitwise_count(self.bits).sum() / (8 * len(self.bits))) ** _HASHES

    def add(self, hashes: Hashes) -> None:
        """Add runs, by their hashes."""
        for places in self._places(hashes):
            np.bitwise_or.at(self.bits, places >> np.uint64(3), _bit(places))

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Tell which runs are there, by their hashes."""
        found = np.ones(len(hashes), bool)
        for places in self._places(hashes):
            found &= (self.bits[places >> np.uint64(3)] & _bit(places)) != 0
        return found

    def coverage(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return of each text the share of its runs that are there."""
        hashes, offsets = TextBatch(texts).ngrams(self.size)
        counts = np.diff(offsets)
        owners = np.repeat(np.arange(len(counts)), counts)
        found = np.bincount(owners, weights=self.holds(hashes), minlength=len(counts))
        return np.asarray(found / np.maximum(counts, 1))

    def _places(self, hashes: Hashes) -> Iterable[Hashes]:
        """Yield a bit of each run, then the next: two hashes make any number (Kirsch and Mitzenmacher 2006)."""
        step, size = mixed(hashes) | np.uint64(1), np.uint64(8 * len(self.bits))
        for number in range(_HASHES):
            yield (hashes + np.uint64(number) * step) % size


def training_grams(corpus: Corpus, size: int, progress: Progress = SILENT, suffix: str = SUFFIX) -> Grams:
    """Return the runs of a corpus' training part: those kept beside it, or made now and kept.

    One size is kept under one `suffix`.
    """
    directory = corpus.directory.resolve()
    place = directory.with_name(directory.name + suffix)
    key = fingerprint.of_parts([str(VERSION), corpus.fingerprint, str(size)])
    if storage.is_fresh(place, KIND, key):
        return Grams(np.load(place / _FILE, mmap_mode="r"), size)
    num_bytes = corpus.num_bytes("train")
    with progress.task("runs of words", corpus.count("train"), "documents") as task:

        def texts() -> Iterable[str]:
            for text in read_texts(directory, "train"):
                yield text
                task.advance()

        grams = Grams.of(texts(), size, num_bytes)
    with suppress(ResourceError):  # where we may not write, they are made each time
        _keep(grams, place, key)
    return grams


def _keep(grams: Grams, place: Path, key: str) -> None:
    with storage.new_directory(place) as partial:
        np.save(partial / _FILE, grams.bits)
        storage.seal(partial, KIND, key, {}, {"words": grams.size, "false_share": grams.false_share})


def _bit(places: Hashes) -> NDArray[np.uint8]:
    return np.uint8(1) << (places & np.uint64(7)).astype(np.uint8)
