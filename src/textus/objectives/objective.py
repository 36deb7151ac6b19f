"""The types between a window of tokens and a number to minimise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.model.kernels import Spans, document_spans
from textus.model.transformer import Reading, Transformer

IGNORE = -100
"""The label of a position where nothing is asked."""


@dataclass(frozen=True)
class Batch:
    """Hold what a model reads and what it is asked."""

    tokens: Int[Tensor, "batch time"]
    """What the model reads."""
    labels: Int[Tensor, "batch time"]
    """The token that each position must predict, or `IGNORE`."""
    documents: Int[Tensor, "batch time"] | None
    """The document of each position; None where each row is one."""
    count: int
    """How many predictions the loss is a sum over; known without waiting for a device."""
    spans: Spans | None = None
    """Where documents begin and end, for kernels that need no mask; made on the way to a GPU."""
    attention: Reading = "config"
    """How the model must read."""
    weights: Float[Tensor, " batch"] | None = None
    """By what each row's losses are multiplied; None: 1."""
    counts: Int[Tensor, " batch"] | None = None
    """How many predictions each row stands for; None: as many as it has labels."""
    num_labels: int = -1
    """How many labels are asked, or a few more than are; left out, it is `count`."""

    def __post_init__(self) -> None:
        if self.num_labels < 0:
            object.__setattr__(self, "num_labels", self.count)

    @classmethod
    def of(
        cls,
        tokens: Int[Tensor, "batch time"],
        labels: Int[Tensor, "batch time"],
        documents: Int[Tensor, "batch time"] | None,
        *,
        attention: Reading = "config",
        weights: Float[Tensor, " batch"] | None = None,
        counts: Int[Tensor, " batch"] | None = None,
    ) -> Batch:
        """Count the labels; raise `CorpusError` where there is none, since a loss of nothing is no loss of zero."""
        num_labels = int((labels != IGNORE).sum())
        count = num_labels if counts is None else int(counts.sum())
        if not count:
            raise CorpusError(
                f"a batch of {tokens.shape[0]} x {tokens.shape[1]} tokens asks for no prediction",
                hint="its documents are too short to predict anything in; remove empty documents or pack more of them",
            )
        return cls(tokens, labels, documents, count, None, attention, weights, counts, num_labels)

    @property
    def positions(self) -> int:
        """Count the tokens that are read."""
        return self.tokens.numel()

    def labelled_rows(self) -> Int[Tensor, " batch"]:
        """Count the labels of each row."""
        return (self.labels != IGNORE).sum(1)

    def split(self, rows: int) -> Iterator[Batch]:
        """Cut into micro-batches of `rows` rows; one that asks nothing adds nothing, and is left out."""
        for start in range(0, len(self.tokens), rows):
            part = slice(start, start + rows)
            documents, weights, counts = (
                values if values is None else values[part] for values in (self.documents, self.weights, self.counts)
            )
            num_labels = int((self.labels[part] != IGNORE).sum())
            if count := num_labels if counts is None else int(counts.sum()):
                yield dataclasses.replace(
                    self,
                    tokens=self.tokens[part],
                    labels=self.labels[part],
                    documents=documents,
                    count=count,
                    weights=weights,
                    counts=counts,
                    num_labels=num_labels,
                )

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """Return the batch on `device`."""
        batch = self.with_spans() if torch.device(device).type == "cuda" else self
        return batch._map(lambda part: part.to(device, non_blocking=non_blocking))

    def with_spans(self) -> Batch:
        """Return the batch with its `spans`; found on the CPU, in the thread that makes batches."""
        if self.spans is not None or self.documents is None:
            return self
        return dataclasses.replace(self, spans=document_spans(self.documents))

    def pinned(self) -> Batch:
        """Return the batch in memory from which a GPU copies while it computes."""
        return self.with_spans()._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        names = ("tokens", "labels", "documents", "spans", "weights")
        there: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        changed: dict[str, Any] = {name: change(value) for name, value in there.items()}
        return dataclasses.replace(self, **changed)


@dataclass(frozen=True)
class Mixed:
    """Hold batches that are read in different ways and make one step together."""

    parts: tuple[Batch, ...]

    @property
    def count(self) -> int:
        """How many predictions the loss is a sum over."""
        return sum(part.count for part in self.parts)

    @property
    def positions(self) -> int:
        """Count the tokens that are read."""
        return sum(part.positions for part in self.parts)

    def split(self, rows: int) -> Iterator[Batch]:
        """Cut into micro-batches of `rows` rows at most, each read in one way."""
        for part in self.parts:
            yield from part.split(rows)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Mixed:
        """Return the batches on `device`."""
        return Mixed(tuple(part.to(device, non_blocking=non_blocking) for part in self.parts))


@dataclass(frozen=True)
class Loss:
    """Hold a sum and a count, never a mean, so that micro-batches and ranks of unequal size add up exactly.

    >>> both = Loss(torch.tensor(6.0), 2) + Loss(torch.tensor(2.0), 2)
    >>> both.mean, both.count
    (tensor(2.), 4)
    """

    total: Float[Tensor, ""]
    """What is to be minimised: the sum of the negative log-probabilities, in nats; it carries the gradient."""
    count: int
    """Number of predictions in the sum."""
    told: Float[Tensor, ""] | None = None
    """That sum alone, without gradient, where training minimises more; None where it does not."""

    def __add__(self, other: Loss) -> Loss:
        told = None if self.told is other.told is None else self.measured + other.measured
        return Loss(self.total + other.total, self.count + other.count, told)

    @property
    def measured(self) -> Float[Tensor, ""]:
        """Return the sum of the negative log-probabilities, and nothing more."""
        return self.total.detach() if self.told is None else self.told

    @property
    def mean(self) -> Float[Tensor, ""]:
        """Nats per prediction; it carries the gradient where nothing more than that is minimised."""
        assert self.count, "a loss of nothing has no mean"
        return (self.total if self.told is None else self.told) / self.count

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model was left to choose, on average."""
        return self.mean.detach().exp().item()


@runtime_checkable
class Objective(Protocol):
    """Say what is asked of a window, and how wrong the answers are."""

    @property
    def attention(self) -> Literal["causal", "bidirectional"]:
        """How the model must read."""
        ...

    @property
    def prediction_offset(self) -> Literal[0, 1]:
        """How many positions after its state a token stands that the state predicts."""
        ...

    def batch(self, window: Window, generator: torch.Generator) -> Batch | Mixed:
        """Turn a window into a question; chance comes from where its rows were cut, or else from `generator`."""
        ...

    def loss(self, model: Transformer, batch: Any) -> Loss:
        """Answer it, or one of the micro-batches that it was cut into."""
        ...

    def validation(self) -> Objective:
        """Return the question that a model is measured by while it is trained."""
        ...
