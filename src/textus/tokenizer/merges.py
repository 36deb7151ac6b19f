"""Learn the merges of a byte-level BPE from counted words, exactly (Sennrich et al. 2016, arXiv 1508.07909).

All words lie end to end in one array of tokens, linked to the left and to the right, so that a merge touches only the
places where its pair stands. The pairs wait in a heap. A count can only fall after a pair has come into being, so what
the heap holds of it is an upper bound, and is put right when the pair comes up.

Ties are broken as the library `tokenizers` breaks them: of pairs that occur equally often, the one whose left token has
the smaller number comes first, then the one whose right token has. The merges are therefore the same as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

_BITS = 20
"""Of a token: a pair is one number, its left token above its right one, and sorts as the two do."""
_MASK = (1 << _BITS) - 1
_BORDER, _GONE = -1, -2
"""What stands between two words, and in the place of a token that was merged into the one before it."""
_MANY = 128
"""Places from which whole arrays are faster than a loop."""

Numbers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int32]
Pair = tuple[int, int]
Merge = tuple[int, int, int]
"""A pair, and the token that it becomes."""


def learn_merges(
    words: Iterable[bytes], counts: Sequence[int], byte_tokens: Sequence[int], most: int, least_count: int = 2
) -> list[Pair]:
    """Return at most `most` merges, each a pair of tokens that becomes the next token; those of fewer begin the same.

    `byte_tokens` numbers the 256 bytes, and the first merge makes the token behind the largest of them. A pair that
    occurs less often than `least_count` is not merged. A run such as `aaa` holds the pair `aa` twice when pairs are
    counted, and once when it is merged.

    >>> learn_merges([b"abab", b"abc"], [2, 1], range(256), most=2)
    [(97, 98), (256, 256)]
    """
    text = _Text(words, counts, byte_tokens, least_count)
    first = max(byte_tokens) + 1
    merges: list[Pair] = []
    while len(merges) < most and (pair := text.next_pair()) is not None:
        text.merge(*pair, first + len(merges))
        merges.append(pair)
    return merges


def learn_more(
    words: Iterable[bytes],
    counts: Sequence[int],
    byte_tokens: Sequence[int],
    known: Iterable[Merge],
    first: int,
    least_count: int,
    wanted: Callable[[int, int], bool],
) -> Iterator[tuple[Merge, int]]:
    """Yield merges that follow those that are known, each with how often it was made; `first` numbers their tokens.

    A pair that is not `wanted` when it comes up is left as it is.

    >>> found = learn_more([b"abab", b"abc"], [2, 1], range(256), [(97, 98, 300)], 400, 1, lambda left, right: True)
    >>> list(found)
    [((300, 300, 400), 2), ((300, 99, 401), 1)]
    """
    text = _Text(words, counts, byte_tokens, 1)  # a known merge is made however seldom its pair occurs
    for left, right, token in known:
        if text.holds(left, right):
            text.merge(left, right, token)
    token = first
    while (pair := text.next_pair()) is not None and (count := text.count(*pair)) >= least_count:
        if wanted(*pair):
            text.merge(*pair, token)
            yield (*pair, token), count
            token += 1


class _Text:
    """Counted words as linked tokens, with the pairs in them."""

    def __init__(
        self, words: Iterable[bytes], counts: Sequence[int], byte_tokens: Sequence[int], least_count: int
    ) -> None:
        words = list(words)
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        content = np.frombuffer(b"".join(words), np.uint8)
        size = len(content) + len(words) + 1
        assert size < 1 << 31 and max(byte_tokens) < _MASK
        # One place before each word and one behind the last are borders.
        inside = np.arange(len(content)) + np.repeat(np.arange(1, len(words) + 1), lengths)
        self._tokens = np.full(size, _BORDER, np.int32)
        self._tokens[inside] = np.asarray(byte_tokens, np.int32)[content]
        self._weights = np.zeros(size, np.int64)
        self._weights[inside] = np.repeat(np.asarray(counts, np.int64), lengths)
        self._next = np.arange(1, size + 1, dtype=np.int32)
        self._before = np.arange(-1, size - 1, dtype=np.int32)
        # Reading single numbers through these costs half of what it costs through the arrays.
        self._views = tuple(part.data for part in (self._tokens, self._weights, self._next, self._before))
        self._least = least_count
        self._counts: dict[int, int] = {}
        self._places: dict[int, Positions | list[int]] = {}
        self._heap: list[int] = []
        left, right = self._tokens[:-1], self._tokens[1:]
        places = np.flatnonzero((left >= 0) & (right >= 0)).astype(np.int32)
        self._add(_pairs(left[places], right[places]), places, self._weights[places])
        heapify(self._heap)

    def next_pair(self) -> Pair | None:
        """Return the pair to be merged next; none when no pair occurs often enough."""
        while self._heap:
            entry = heappop(self._heap)
            pair, stored = entry & ((1 << 2 * _BITS) - 1), -(entry >> 2 * _BITS)
            count = self._counts.get(pair)
            if count is None:  # it was merged without being asked for
                continue
            if count == stored:
                return pair >> _BITS, pair & _MASK
            if count >= self._least:
                heappush(self._heap, _entry(pair, count))
            else:
                del self._counts[pair], self._places[pair]
        return None

    def holds(self, left: int, right: int) -> bool:
        """Tell whether a pair stands anywhere."""
        return self.count(left, right) > 0

    def count(self, left: int, right: int) -> int:
        """Return how often a pair occurs."""
        return self._counts.get(left << _BITS | right, 0)

    def merge(self, left: int, right: int, new: int) -> None:
        """Put `new` wherever `left` and `right` stand side by side."""
        pair = left << _BITS | right
        places = self._places.pop(pair)
        del self._counts[pair]
        if len(places) < _MANY:
            self._merge_few(places if isinstance(places, list) else places.tolist(), left, right, new)
        else:
            self._merge_many(np.asarray(places, np.int32), left, right, new)

    def _merge_few(self, places: list[int], left: int, right: int, new: int) -> None:
        tokens, weights, after, before = self._views
        counts = self._counts
        made: dict[int, int] = {}
        where: dict[int, list[int]] = {}
        for place in places:
            second = after[place]
            if tokens[place] != left or tokens[second] != right:
                continue
            weight, back, ahead = weights[place], before[place], after[second]
            tokens[place], tokens[second] = new, _GONE
            after[place], before[ahead] = ahead, place
            if (token := tokens[back]) >= 0:
                pair = token << _BITS | left
                if pair in counts:
                    counts[pair] -= weight
                elif pair in made:  # of the occurrence just before this one
                    made[pair] -= weight
                pair = token << _BITS | new
                made[pair] = made.get(pair, 0) + weight
                where.setdefault(pair, []).append(back)
            if (token := tokens[ahead]) >= 0:
                pair = right << _BITS | token
                if pair in counts:
                    counts[pair] -= weight
                pair = new << _BITS | token
                made[pair] = made.get(pair, 0) + weight
                where.setdefault(pair, []).append(place)
        for pair, count in made.items():
            if count >= self._least:
                counts[pair] = count
                self._places[pair] = where[pair]
                heappush(self._heap, _entry(pair, count))

    def _merge_many(self, places: Positions, left: int, right: int, new: int) -> None:
        tokens, after, before = self._tokens, self._next, self._before
        first, second = self._found(places, left, right)
        back, ahead, weights = before[first], after[second], self._weights[first]
        behind, beyond = tokens[back], tokens[ahead]
        # Where two occurrences touch, what stands between them is one pair, and is counted as the right one's here.
        touches = np.zeros(len(first), np.bool_)
        touches[1:] = back[1:] == second[:-1]
        here, there = (behind >= 0) & ~touches, beyond >= 0
        self._remove(
            np.concatenate([_pairs(behind[here], left), _pairs(right, beyond[there])]),
            np.concatenate([weights[here], weights[there]]),
        )
        tokens[first], tokens[second] = new, _GONE
        after[first], before[ahead] = ahead, first
        behind, beyond = tokens[before[first]], tokens[ahead]
        here, there = behind >= 0, (beyond >= 0) & (beyond != new)
        self._add(
            np.concatenate([_pairs(behind[here], new), _pairs(new, beyond[there])]),
            np.concatenate([before[first][here], first[there]]),
            np.concatenate([weights[here], weights[there]]),
        )

    def _found(self, places: Positions, left: int, right: int) -> tuple[Positions, Positions]:
        """Return where the pair still stands, of overlapping occurrences (`aa` in `aaa`) the leftmost each time."""
        first = places[self._tokens[places] == left]
        second = self._next[first]
        found = self._tokens[second] == right
        first, second = first[found], second[found]
        if left == right:
            numbers = np.arange(len(first))
            begins = np.ones(len(first), np.bool_)
            begins[1:] = first[1:] != second[:-1]
            run = np.maximum.accumulate(np.where(begins, numbers, 0))
            taken = (numbers - run) % 2 == 0
            first, second = first[taken], second[taken]
        return first, second

    def _remove(self, pairs: Numbers, weights: Numbers) -> None:
        counts = self._counts
        order, starts, names = _grouped(pairs)
        for pair, weight in zip(names, _sums(weights[order], starts), strict=True):
            if pair in counts:
                counts[pair] -= weight

    def _add(self, pairs: Numbers, places: Positions, weights: Numbers) -> None:
        """Take up new pairs; those that occur too seldom to be merged ever are not kept."""
        order, starts, names = _grouped(pairs)
        places = places[order]
        stops = np.append(starts, len(order))[1:].tolist()
        for pair, start, stop, weight in zip(names, starts.tolist(), stops, _sums(weights[order], starts), strict=True):
            if weight >= self._least:
                self._counts[pair] = weight
                self._places[pair] = places[start:stop].tolist() if stop - start < _MANY else places[start:stop].copy()
                heappush(self._heap, _entry(pair, weight))


def _pairs(left: npt.NDArray[np.int32] | int, right: npt.NDArray[np.int32] | int) -> Numbers:
    return np.asarray(left, np.int64) << _BITS | np.asarray(right, np.int64)


def _entry(pair: int, count: int) -> int:
    """Put a pair into one number that sorts by falling count, then by pair."""
    return (-count << 2 * _BITS) | pair


def _grouped(pairs: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], list[int]]:
    """Sort pairs, equal ones in their order; return the order, where each distinct one starts, and these themselves."""
    order = np.argsort(pairs, kind="stable")
    ordered = pairs[order]
    begins = np.ones(len(pairs), np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(begins)
    return order, starts, ordered[starts].tolist()


def _sums(weights: Numbers, starts: npt.NDArray[np.intp]) -> list[int]:
    sums: list[int] = np.add.reduceat(weights, starts).tolist() if len(starts) else []
    return sums
