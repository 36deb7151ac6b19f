"""Passages that a later document has word for word from an earlier one.

Two looks at the texts. Map `anchors`: of every passage long enough, a few short n-grams, chosen by content (winnowing,
Schleimer et al. 2003), so that equal passages have an equal one. Reduce `repeated_anchors`. Map again `windows`, only
where a repeated anchor is: all windows of the length asked for. Decide `passages`, apply `without_words`.

Every repeat of at least `minimum_words` words is found: with n-grams of k words and windows of minimum_words - k + 1
of them, each such passage has a whole window, and the least hash of a window depends on nothing but its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, TextBatch
from textus.corpus.passages.config import PassagesConfig

Mask = NDArray[np.bool_]
_REMEMBERED = 256


@dataclass(frozen=True)
class Windows:
    """Runs of words by their hash: in which text each is, and at which word it starts; columns of equal length."""

    hashes: Hashes
    texts: Index
    starts: Index

    def __len__(self) -> int:
        return len(self.hashes)

    def shifted(self, first_text: int) -> Windows:
        """Count the texts from `first_text` on."""
        return Windows(self.hashes, self.texts + first_text, self.starts)

    def sorted(self) -> Windows:
        """Put them in the order of hash, text and start, as `repeated_anchors` and `passages` want them."""
        order = np.lexsort((self.starts, self.texts, self.hashes))
        return Windows(self.hashes[order], self.texts[order], self.starts[order])


@dataclass(frozen=True)
class Passages:
    """Passages of documents that an earlier document has; columns of equal length, ordered by document and start."""

    documents: Index
    starts: Index
    """In words from the start of the document."""
    ends: Index
    first_documents: Index
    """The first document that has these words."""
    first_starts: Index

    def __len__(self) -> int:
        return len(self.documents)

    def where(self, chosen: Mask) -> Passages:
        """Return some of them."""
        return Passages(*(column[chosen] for column in _columns(self)))


def joined(parts: Sequence[Windows]) -> Windows:
    """Put the windows of several batches together."""
    hashes = [part.hashes for part in parts] or [np.zeros(0, np.uint64)]
    texts = [part.texts for part in parts] or [np.zeros(0, np.int64)]
    starts = [part.starts for part in parts] or [np.zeros(0, np.int64)]
    return Windows(np.concatenate(hashes), np.concatenate(texts), np.concatenate(starts))


def anchors(batch: TextBatch, config: PassagesConfig) -> Windows:
    """Choose n-grams of half a passage's words, about one in fourteen at 50 words, the same ones in equal passages."""
    size = config.minimum_words // 2
    window = config.minimum_words - size + 1
    hashes, offsets = batch.ngrams(size)
    texts = np.repeat(np.arange(len(batch)), np.diff(offsets))
    # A text shorter than a passage has none.
    is_long = batch.words.counts >= config.minimum_words
    if not is_long.any():
        return joined([])
    places = np.arange(len(hashes))
    least = _sliding(hashes, window, np.minimum)
    least[~(is_long[texts] & (places + window <= offsets[texts + 1]))[: len(least)]] = 0
    # An n-gram is the least of one of the windows over it if the greatest of their least ones is its own.
    around = np.concatenate([np.zeros(window - 1, np.uint64), least, np.zeros(window - 1, np.uint64)])
    chosen = np.flatnonzero((_sliding(around, window, np.maximum) == hashes) & is_long[texts])
    return Windows(hashes[chosen], texts[chosen], chosen - offsets[texts[chosen]])


def repeated_anchors(ordered: Windows) -> Hashes:
    """Return the hashes that more than one text has, in increasing order; `ordered` by hash and text."""
    hashes, texts = ordered.hashes, ordered.texts
    if not len(hashes):
        return hashes
    crosses = (hashes[1:] == hashes[:-1]) & (texts[1:] != texts[:-1])
    return np.unique(hashes[1:][crosses])


def windows(batch: TextBatch, repeated: Hashes, config: PassagesConfig) -> Windows:
    """Return every run of `minimum_words` words that has a repeated anchor in it."""
    found = anchors(batch, config)
    if not len(found) or not len(repeated):
        return joined([])
    places = np.minimum(np.searchsorted(repeated, found.hashes), len(repeated) - 1)
    is_repeated = repeated[places] == found.hashes
    texts, starts = found.texts[is_repeated], found.starts[is_repeated]
    hashes, offsets = batch.ngrams(config.minimum_words)
    before = config.minimum_words - config.minimum_words // 2
    first = offsets[texts] + np.maximum(starts - before, 0)
    last = np.minimum(offsets[texts] + starts + 1, offsets[texts + 1])
    steps = np.zeros(len(hashes) + 1, np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    chosen = np.flatnonzero(np.cumsum(steps[:-1]) > 0)
    owners = np.searchsorted(offsets, chosen, "right") - 1
    return Windows(hashes[chosen], owners, chosen - offsets[owners])


def passages(ordered: Windows, config: PassagesConfig) -> Passages:
    """Say which runs of words an earlier document has; `ordered` by hash, document and start.

    The documents' numbers are their priority: the least keeps the passage. What a document repeats of itself is not
    meant here: a refrain may be long.
    """
    hashes, documents, starts = ordered.hashes, ordered.texts, ordered.starts
    if not len(hashes):
        return Passages(*(np.zeros(0, np.int64),) * 5)
    is_new = np.concatenate([[True], hashes[1:] != hashes[:-1]])
    first = np.flatnonzero(is_new)[np.cumsum(is_new) - 1]
    is_later = documents != documents[first]
    columns = (documents[is_later], starts[is_later], documents[first][is_later], starts[first][is_later])
    return stretched(*columns, config.minimum_words)


def verified(found: Passages, text_of: Callable[[int], str]) -> Mask:
    """Tell which passages are the same in both texts word by word: the hash of a run alone could be wrong.

    Words are held against each other by their own hashes and lengths, whatever their case. `text_of` is asked for the
    documents involved only, for some of them more than once; a few hundred are remembered.
    """

    @lru_cache(_REMEMBERED)
    def words_of(document: int) -> tuple[Hashes, Index]:
        batch = TextBatch([text_of(document)])
        return batch.word_hashes, batch.words.lengths

    def is_same(document: int, start: int, end: int, first_document: int, first_start: int) -> bool:
        first_end = first_start + end - start
        mine, others = words_of(document), words_of(first_document)
        return all(np.array_equal(a[start:end], b[first_start:first_end]) for a, b in zip(mine, others, strict=True))

    rows = zip(*(column.tolist() for column in _columns(found)), strict=True)
    return np.array([is_same(*row) for row in rows], bool)


def spans(found: Passages) -> dict[int, list[tuple[int, int]]]:
    """Return of each document the runs of words to remove, apart and in order."""
    runs: dict[int, list[tuple[int, int]]] = {}
    for document, start, end in zip(found.documents.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True):
        own = runs.setdefault(document, [])
        if own and start <= own[-1][1]:
            own[-1] = (own[-1][0], max(own[-1][1], end))
        else:
            own.append((start, end))
    return runs


def stretched(documents: Index, starts: Index, first_documents: Index, first_starts: Index, size: int) -> Passages:
    """Join windows of `size` words that follow each other in both documents; all those of a document are given."""
    shifts = starts - first_starts
    order = np.lexsort((starts, shifts, first_documents, documents))
    documents, starts, shifts, first_documents = (
        column[order] for column in (documents, starts, shifts, first_documents)
    )
    borders = np.ones(len(starts) + 1, bool)
    borders[1:-1] = (
        (documents[1:] != documents[:-1])
        | (first_documents[1:] != first_documents[:-1])
        | (shifts[1:] != shifts[:-1])
        | (starts[1:] > starts[:-1] + size)
    )
    begins, last = np.flatnonzero(borders[:-1]), np.flatnonzero(borders[1:])
    joined_up = Passages(
        documents[begins], starts[begins], starts[last] + size, first_documents[begins], (starts - shifts)[begins]
    )
    back = np.lexsort((joined_up.ends, joined_up.starts, joined_up.documents))
    return Passages(*(column[back] for column in _columns(joined_up)))


def _sliding(values: Hashes, size: int, best: np.ufunc) -> Hashes:
    """Return the least or greatest of every `size` neighbours, by doubling: log2(size) passes."""
    if len(values) < size:
        return values[:0].copy()
    width, found = 1, values
    while 2 * width <= size:
        found = best(found[:-width], found[width:])
        width *= 2
    rest = size - width
    result: Hashes = best(found[: len(found) - rest], found[rest:]) if rest else found.copy()
    return result


def _columns(found: Passages) -> tuple[Index, ...]:
    return found.documents, found.starts, found.ends, found.first_documents, found.first_starts
