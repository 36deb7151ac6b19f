"""An index of the n-grams of evaluation items, and the look-up of a batch of texts in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, TextBatch
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.items import Item

_TEMPLATE_ITEMS, _TEMPLATE_SHARE = 20, 0.02
"""An n-gram in more items of a set, and a larger share of them, is the set's own template ("Answer with yes or no")."""
_BITS = 22


@dataclass(frozen=True)
class ItemIndex:
    """Which n-grams the forms of the items have. A form shorter than an n-gram is one gram as a whole."""

    items: tuple[Item, ...]
    size: int
    minimum_words: int
    hashes: Hashes
    """Of each gram, in increasing order: its first `size` words, or `minimum_words` where it is shorter."""
    lengths: Index
    """In words: `size`, or fewer where the gram is a whole short form; then `last` is its last `minimum_words`."""
    last: Hashes
    offsets: Index
    """Gram `i` is in the forms `forms[offsets[i] : offsets[i + 1]]`."""
    forms: Index
    form_items: Index
    """Of each form its item."""
    form_grams: Index
    """Of each form how many different grams it has that are no template."""

    @cached_property
    def long(self) -> _Filter:
        """Return what tells most hashes of `size` words from those of grams."""
        return _Filter(self.hashes[self.lengths == self.size])

    @cached_property
    def short(self) -> _Filter:
        """Return the same for the first `minimum_words` words of short forms."""
        return _Filter(self.hashes[self.lengths < self.size])


class _Filter:
    """Two tables small enough for the caches, by the upper and the lower bits of a hash."""

    def __init__(self, hashes: Hashes) -> None:
        self._upper, self._lower = np.zeros(1 << _BITS, bool), np.zeros(1 << _BITS, bool)
        self._upper[_upper(hashes)] = True
        self._lower[_lower(hashes)] = True

    def maybe(self, hashes: Hashes) -> Index:
        """Return the places of hashes that may be there."""
        places = np.flatnonzero(self._upper[_upper(hashes)])
        return places[self._lower[_lower(hashes[places])]]


@dataclass(frozen=True)
class Hits:
    """Where texts have grams of items; columns of equal length, ordered by text."""

    texts: Index
    starts: Index
    """In words from the start of the text."""
    ends: Index
    grams: Index

    def __len__(self) -> int:
        return len(self.texts)

    def shifted(self, first_text: int) -> Hits:
        """Count the texts from `first_text` on."""
        return Hits(self.texts + first_text, self.starts, self.ends, self.grams)


def joined(parts: Sequence[Hits]) -> Hits:
    """Put the hits of several batches together."""
    empty = Hits(*(np.zeros(0, np.int64),) * 4)
    columns = zip(*((part.texts, part.starts, part.ends, part.grams) for part in (empty, *parts)), strict=True)
    return Hits(*map(np.concatenate, columns))


def build_index(items: Sequence[Item], config: ContaminationConfig) -> ItemIndex:
    """Index the forms of items; forms of fewer than `minimum_words` words are left out."""
    texts = [text for item in items for text in item.texts]
    form_items = np.repeat(np.arange(len(items)), [len(item.texts) for item in items])
    hashes, lengths, last, forms = _grams(TextBatch(texts), config)
    order = np.lexsort((forms, last, lengths, hashes))
    hashes, lengths, last, forms = hashes[order], lengths[order], last[order], forms[order]
    is_new = _changes(hashes, lengths, last)
    # Once per form; then what many items of one set share is left out.
    is_first = is_new | _changes(forms)
    grams, forms = (np.cumsum(is_new) - 1)[is_first], forms[is_first]
    kept = ~_is_template(items, grams, form_items[forms])
    starts = np.flatnonzero(is_new)
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(np.bincount(grams[kept], minlength=len(starts)), out=offsets[1:])
    return ItemIndex(
        tuple(items), config.size, config.minimum_words, hashes[starts], lengths[starts], last[starts],
        offsets, forms[kept], form_items, np.bincount(forms[kept], minlength=len(texts)),
    )  # fmt: skip


def _grams(batch: TextBatch, config: ContaminationConfig) -> tuple[Hashes, Index, Hashes, Index]:
    """Return the grams of all forms as the columns `hashes`, `lengths` and `last` of an index, and their forms."""
    counts = batch.words.counts
    long, offsets = batch.ngrams(config.size)
    short, short_offsets = batch.ngrams(config.minimum_words)
    is_long = counts >= config.size
    of_long = np.repeat(is_long, np.diff(offsets))
    of_short = np.flatnonzero((counts >= config.minimum_words) & ~is_long)
    long_forms = np.repeat(np.flatnonzero(is_long), np.diff(offsets)[is_long])
    return (
        np.concatenate([long[of_long], short[short_offsets[of_short]]]),
        np.concatenate([np.full(len(long_forms), config.size), counts[of_short]]),
        np.concatenate([long[of_long], short[short_offsets[of_short + 1] - 1]]),
        np.concatenate([long_forms, of_short]),
    )


def probe(batch: TextBatch, index: ItemIndex) -> Hits:
    """Find the grams of an index in a batch of texts."""
    long, long_offsets = batch.ngrams(index.size)
    short, short_offsets = batch.ngrams(index.minimum_words)
    parts = [_found(batch, index, long, long_offsets, None)]
    if (index.lengths < index.size).any():
        parts.append(_found(batch, index, short, short_offsets, short))
    hits = joined(parts)
    order = np.lexsort((hits.starts, hits.texts))
    return Hits(hits.texts[order], hits.starts[order], hits.ends[order], hits.grams[order])


def _found(batch: TextBatch, index: ItemIndex, hashes: Hashes, offsets: Index, short: Hashes | None) -> Hits:
    """Look hashes up; several grams can begin with the same words where they are short."""
    maybe = (index.long if short is None else index.short).maybe(hashes)
    first = np.searchsorted(index.hashes, hashes[maybe], "left")
    number = np.searchsorted(index.hashes, hashes[maybe], "right") - first
    places = np.repeat(maybe, number)
    grams = np.repeat(first - np.concatenate([[0], np.cumsum(number)[:-1]]), number) + np.arange(len(places))
    texts = np.searchsorted(offsets, places, "right") - 1
    starts, lengths = places - offsets[texts], index.lengths[grams]
    right = starts + lengths <= batch.words.counts[texts]
    if short is None:
        right &= lengths == index.size
    else:
        # Two runs of `minimum_words` words that overlap, or touch, make up the whole: both must be there.
        ends = np.minimum(places + lengths - index.minimum_words, len(short) - 1)
        right &= (lengths < index.size) & (short[ends] == index.last[grams])
    return Hits(texts[right], starts[right], (starts + lengths)[right], grams[right])


def _is_template(items: Sequence[Item], grams: Index, owners: Index) -> NDArray[np.bool_]:
    """Tell which grams are in many items of their set."""
    names = sorted({item.set for item in items})
    numbers = {name: number for number, name in enumerate(names)}
    sets = np.array([numbers[item.set] for item in items], np.int64)
    sizes = np.bincount(sets, minlength=len(names))
    # `owners` are in order within a gram, so an item that has it in several forms has neighbouring rows.
    key = grams * len(names) + sets[owners]
    found, counts = np.unique(key[_changes(grams, owners)], return_counts=True)
    most = np.maximum(_TEMPLATE_ITEMS, _TEMPLATE_SHARE * sizes)
    is_template: NDArray[np.bool_] = (counts > most[found % max(1, len(names))])[np.searchsorted(found, key)]
    return is_template


def _changes(*columns: NDArray[np.uint64] | Index) -> NDArray[np.bool_]:
    """Mark rows that differ from the one before."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def _upper(hashes: Hashes) -> Index:
    return (hashes >> np.uint64(64 - _BITS)).astype(np.int64)


def _lower(hashes: Hashes) -> Index:
    return (hashes & np.uint64((1 << _BITS) - 1)).astype(np.int64)
