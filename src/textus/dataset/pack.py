"""Cut documents into windows, by a pure function from a window's number to its tokens.

Windows are numbered from 0 through all epochs: number = epoch * per_epoch + place. For each epoch the documents are put
in a new order, laid end to end as one stream, and the stream is cut into windows, which are put in a new order too:

```
stream   |E a b c d E|E f g E|E i j k l m n E|          E: END; three documents in this epoch's order
windows   E a b c d                                     context_length = 4, offset = 1: each window has 4 new tokens
                  d E E f g                             behind 1 that it shares with the one before, for context only
                          g E E i j
                                  j k l m n
                                          n E - - -     the last one of an epoch is padded
```
Nothing is drawn from a generator that has a state: whoever knows the seed and the number of a window can make it again,
so that resuming, several ranks and naming a bad batch need no bookkeeping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64

from textus.dataset.split import TokenSplit
from textus.dataset.window import PADDING, Origin, Window
from textus.errors import CorpusError

_EPOCHS_KEPT = 2
Indices = npt.NDArray[np.int64]
Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True)
class Source:
    """A run of tokens that a window shows."""

    document: int
    """Its number in the split."""
    start: int
    """Position in the document, where 0 is the END before the text."""
    stop: int


@dataclass(frozen=True, eq=False)
class _Order:
    """How one epoch lays out the split."""

    documents: Int64[np.ndarray, " documents"]
    """The documents in the order of the stream."""
    starts: Int64[np.ndarray, " documents_and_1"]
    """Where in the stream each begins, and behind them its length."""
    windows: Int64[np.ndarray, " windows"]
    """The windows in the order in which they are shown."""


class Windows:
    """All windows of a split: rows of `context_length` new tokens, behind `offset` tokens of context.

    `offset` is the model's prediction offset: 1 where the state at one token predicts the next, 0 where a hidden token
    is predicted in its own place. Every token that has another before it in its document may be asked exactly once an
    epoch. `ordered` keeps documents and windows in the order of the split, for validation.
    """

    def __init__(
        self, split: TokenSplit, context_length: int, offset: Literal[0, 1], seed: int, *, ordered: bool = False
    ) -> None:
        assert context_length > 0 and 0 <= seed < 1 << 64
        self.split = split
        self.context_length = context_length
        self.offset = offset
        self.seed = seed
        self.ordered = ordered
        longest = split.num_tokens - offset
        # A split that is only measured may be shorter than one window: padding does no harm there.
        if longest < (1 if ordered else context_length):
            raise CorpusError(
                f"a context of {context_length} tokens is longer than the {split.name} part: {split.num_tokens} tokens",
                hint=f"set model.context_length to {max(longest, 0)} or less, or give more text",
            )
        self._orders: dict[int, _Order] = {}
        self._lock = Lock()

    @property
    def time(self) -> int:
        """Return the tokens in a row, those of context included."""
        return self.context_length + self.offset

    @property
    def per_epoch(self) -> int:
        """Count the windows that show every token once."""
        return -(-(self.split.num_tokens - self.offset) // self.context_length)

    def rows(self, numbers: Sequence[int] | Indices) -> Window:
        """Return the windows with these numbers, one a row."""
        wanted = np.asarray(numbers, np.int64)
        assert wanted.ndim == 1 and len(wanted) and wanted.min() >= 0
        epochs, places = np.divmod(wanted, self.per_epoch)
        shown = np.unique(epochs).tolist()
        if len(shown) == 1:
            return self._epoch_rows(shown[0], places)
        parts = [self._epoch_rows(epoch, places[epochs == epoch]) for epoch in shown]
        back = torch.from_numpy(np.argsort(np.argsort(epochs, kind="stable"), kind="stable"))
        return Window.joined(parts, back)

    def sources(self, number: int) -> list[Source]:
        """Say which tokens of which documents a window shows, those of context included."""
        epoch, place = divmod(number, self.per_epoch)
        order = self._order(epoch)
        start = order.windows[place : place + 1] * self.context_length
        segments = _Segments.of(order.starts, start, np.minimum(start + self.time, self.split.num_tokens))
        documents = order.documents[segments.ranks]
        begins = segments.starts - order.starts[segments.ranks]
        return [
            Source(document, begin, begin + length)
            for document, begin, length in zip(
                documents.tolist(), begins.tolist(), segments.lengths.tolist(), strict=True
            )
        ]

    def _epoch_rows(self, epoch: int, places: Indices) -> Window:
        """Return windows of one epoch."""
        order, shape = self._order(epoch), (len(places), self.time)
        starts = order.windows[places] * self.context_length
        stops = np.minimum(starts + self.time, self.split.num_tokens)
        segments = _Segments.of(order.starts, starts, stops)
        # Positions in the split: within a segment they run on, so each segment is one shift of the stream's positions.
        shift = self.split.offsets[order.documents[segments.ranks]] - order.starts[segments.ranks] + segments.starts
        written = np.cumsum(segments.lengths) - segments.lengths
        filled = int(segments.lengths.sum())
        positions = np.repeat(shift - written, segments.lengths) + np.arange(filled)
        tokens = self.split.take(positions).astype(np.int64)
        documents = np.repeat(segments.numbers, segments.lengths)
        predict = np.ones(filled, np.bool_)
        predict[written[segments.starts == order.starts[segments.ranks]]] = False
        if filled < len(places) * self.time:
            inside = np.arange(self.time) < (stops - starts)[:, None]
            tokens = _spread(tokens, inside, self._padding_token())
            documents = _spread(documents, inside, PADDING)
            predict = _spread(predict, inside, False)
            positions = _spread(positions, inside, PADDING)
        predict = predict.reshape(shape)
        predict[:, : self.offset] = False
        return Window(
            tokens=torch.from_numpy(tokens.reshape(shape)),
            documents=torch.from_numpy(documents.reshape(shape)),
            predict=torch.from_numpy(predict),
            origin=Origin(
                numbers=torch.from_numpy(epoch * self.per_epoch + places),
                epochs=torch.full((len(places),), epoch),
                per_epoch=torch.full((len(places),), self.per_epoch),
                places=torch.from_numpy(positions.reshape(shape)),
            ),
        )

    def _padding_token(self) -> int:
        """Return END: the token that every document begins with."""
        return int(self.split.tokens(0, 1)[0])

    def _order(self, epoch: int) -> _Order:
        with self._lock:
            if epoch not in self._orders:
                while len(self._orders) >= _EPOCHS_KEPT:
                    del self._orders[min(self._orders)]
                self._orders[epoch] = self._make_order(epoch)
            return self._orders[epoch]

    def _make_order(self, epoch: int) -> _Order:
        lengths = np.diff(self.split.offsets)
        if self.ordered:
            documents, windows = np.arange(len(lengths)), np.arange(self.per_epoch)
        else:
            bits = np.random.Philox(key=np.array([self.seed, epoch], np.uint64))
            documents, windows = permutation(bits, len(lengths)), permutation(bits, self.per_epoch)
        return _Order(documents, np.concatenate([[0], np.cumsum(lengths[documents])]), windows)


@dataclass(frozen=True, eq=False)
class _Segments:
    """The runs of one document each that windows consist of, row after row."""

    ranks: Int64[np.ndarray, " segments"]
    """Which document of the stream."""
    starts: Int64[np.ndarray, " segments"]
    """Where in the stream."""
    lengths: Int64[np.ndarray, " segments"]
    numbers: Int64[np.ndarray, " segments"]
    """The document's number within its row."""

    @classmethod
    def of(cls, stream: Indices, starts: Indices, stops: Indices) -> _Segments:
        """Find the segments of the windows from `starts` to `stops` in a stream whose documents begin at `stream`.

        >>> found = _Segments.of(np.array([0, 6, 10, 18]), starts=np.array([4, 10]), stops=np.array([12, 14]))
        >>> found.ranks.tolist(), found.starts.tolist(), found.lengths.tolist(), found.numbers.tolist()
        ([0, 1, 2, 2], [4, 6, 10, 10], [2, 4, 2, 4], [0, 1, 2, 0])
        """
        first = np.searchsorted(stream, starts, "right") - 1
        counts = np.searchsorted(stream, stops, "left") - first
        numbers = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        ranks = np.repeat(first, counts) + numbers
        begins = np.maximum(stream[ranks], np.repeat(starts, counts))
        ends = np.minimum(stream[ranks + 1], np.repeat(stops, counts))
        return cls(ranks, begins, ends - begins, numbers)


def permutation(bits: np.random.Philox, count: int) -> Indices:
    """Draw an order of `count` things from raw bits: numpy promises those for good, and its own shuffles not.

    >>> permutation(np.random.Philox(key=np.array([7, 1], np.uint64)), 8).tolist()
    [3, 1, 6, 2, 5, 4, 0, 7]
    """
    return np.argsort(bits.random_raw(count), kind="stable")


def _spread(values: npt.NDArray[Kind], inside: npt.NDArray[np.bool_], fill: int | bool) -> npt.NDArray[Kind]:
    """Lay `values` out where `inside`, and `fill` elsewhere."""
    whole = np.full(inside.shape, fill, values.dtype)
    whole[inside] = values
    return whole
