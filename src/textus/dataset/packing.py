"""Examples in rows: whole ones side by side, never cut, none seeing another.

Examples are laid into rows by best fit, the longest first: each goes where the least room is left behind it. It is done
once; every epoch shows the same rows in a new order, by a pure function from a window's number, as `pack.py` does it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64

from textus.dataset.examples import Examples
from textus.dataset.pack import Indices, Source, permutation
from textus.dataset.window import PADDING, Origin, Window
from textus.errors import CorpusError


def best_fit(sizes: Int64[np.ndarray, " items"], room: int) -> list[list[int]]:
    """Lay items of these sizes into rows of `room`; no item may be larger.

    >>> best_fit(np.array([2, 6, 3, 4]), 8)
    [[1, 0], [3, 2]]
    """
    rows: list[list[int]] = []
    left: list[tuple[int, int]] = []  # what is left of each row that is not full, sorted
    for item in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[item])
        assert 0 < size <= room
        place = bisect_left(left, (size, -1))
        if place == len(left):
            rows.append([])
            rest, row = room, len(rows) - 1
        else:
            rest, row = left.pop(place)
        rows[row].append(item)
        if rest > size:
            insort(left, (rest - size, row))
    return rows


class Packed:
    """All windows of examples; it stands where `Windows` stands.

    An item is `together` examples that must share a row, such as two answers to one prompt. `ordered` keeps the rows in
    one order, for validation.
    """

    offset = 1

    def __init__(
        self, examples: Examples, context_length: int, seed: int, *, together: int = 1, ordered: bool = False
    ) -> None:
        assert len(examples) % together == 0
        self.split = examples
        self.context_length = context_length
        self.seed = seed
        self.together = together
        self.ordered = ordered
        if not len(examples):
            raise CorpusError(f"the {examples.name} part has no example", hint="give more data")
        sizes = np.diff(examples.offsets[::together])
        self._rows = [np.array(row, np.int64) for row in best_fit(sizes, self.time)]

    @property
    def time(self) -> int:
        """Return the tokens in a row: the last is only predicted."""
        return self.context_length + self.offset

    @property
    def per_epoch(self) -> int:
        """Count the windows that show every example once."""
        return len(self._rows)

    @property
    def filled(self) -> float:
        """Return the share of the rows that is no padding."""
        return self.split.num_tokens / (self.per_epoch * self.time)

    def rows(self, numbers: Sequence[int] | Indices) -> Window:
        """Return the windows with these numbers, one a row."""
        wanted = np.asarray(numbers, np.int64)
        shape = (len(wanted), self.time)
        tokens = np.zeros(shape, np.int64)
        documents = np.full(shape, PADDING, np.int64)
        predict = np.zeros(shape, np.bool_)
        places = np.full(shape, PADDING, np.int64)
        for row, number in enumerate(wanted.tolist()):
            at = 0
            for document, example in enumerate(self.examples(number).tolist()):
                start, stop = (int(self.split.offsets[example + end]) for end in (0, 1))
                inside = slice(at, at + stop - start)
                tokens[row, inside] = self.split.tokens[start:stop]
                documents[row, inside] = document
                predict[row, inside] = self.split.asked[start:stop]
                predict[row, at] = False  # nothing stands before it
                places[row, inside] = np.arange(start, stop)
                at += stop - start
        epochs = torch.from_numpy(wanted // self.per_epoch)
        return Window(
            torch.from_numpy(tokens),
            torch.from_numpy(documents),
            torch.from_numpy(predict),
            Origin(torch.from_numpy(wanted), epochs, torch.full_like(epochs, self.per_epoch), torch.from_numpy(places)),
        )

    def examples(self, number: int) -> Int64[np.ndarray, " examples"]:
        """Return the numbers of the examples that a window shows, in its order."""
        epoch, place = divmod(number, self.per_epoch)
        row = place if self.ordered else int(self._order(epoch)[place])
        items = self._rows[row]
        return (items[:, None] * self.together + np.arange(self.together)).reshape(-1)

    def sources(self, number: int) -> list[Source]:
        """Say which examples a window shows: all of each."""
        lengths = np.diff(self.split.offsets)
        return [Source(example, 0, int(lengths[example])) for example in self.examples(number).tolist()]

    def _order(self, epoch: int) -> Indices:
        held = getattr(self, "_held", None)
        if held is None or held[0] != epoch:
            bits = np.random.Philox(key=np.array([self.seed, epoch], np.uint64))
            self._held = held = (epoch, permutation(bits, self.per_epoch))
        order: Indices = held[1]
        return order
