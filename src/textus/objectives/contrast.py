"""Ask of each query which of a batch's passages answers it.

InfoNCE (van den Oord et al. 2018, arXiv 1807.03748): with vectors of length 1 and temperature t,

    loss = - ln exp(q . p / t) / sum over the batch's passages of exp(q . p' / t)

A batch cannot be cut into micro-batches, since every query is held against all passages. Its texts are therefore read
in parts whose activations are not kept: once for the vectors, and once more, part by part, for the gradient. That is
what GradCache does (Gao et al. 2021, arXiv 2101.06983), and gives the same gradient with any part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from textus.dataset.pairs import Contrasted
from textus.dataset.window import Window
from textus.model.headed import Headed
from textus.model.pooling import shortened
from textus.model.transformer import Transformer
from textus.objectives.objective import Batch, Loss

_NEVER = -1e9
"""What stands for the similarity to a passage that must not count."""


@dataclass(frozen=True)
class Group(Batch):
    """Queries and passages that are held against each other, and so stay together."""

    excluded: Bool[Tensor, "queries passages"] | None = None
    """Passages that must not count against a query."""
    parts: tuple[tuple[int, int, int], ...] = ()
    """First row, end and width of what is read at once."""

    def split(self, rows: int) -> Iterator[Batch]:
        """Yield it whole."""
        yield self

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        moved = super()._map(change)
        assert isinstance(moved, Group) and self.excluded is not None
        return dataclasses.replace(moved, excluded=change(self.excluded))


@dataclass(frozen=True)
class Contrast:
    """Ask each query for its passage among all of the batch."""

    temperature: float = 0.05
    dimensions: tuple[int, ...] = ()
    """Shorter vectors that shall tell passages apart too; the loss is the mean over all lengths (Matryoshka)."""
    rows_at_once: int = 32
    """Texts whose activations are in memory at a time."""
    attention: Literal["causal", "bidirectional"] = "bidirectional"
    prediction_offset: Literal[0] = 0

    def batch(self, window: Window, generator: torch.Generator) -> Group:
        """Take queries and passages as they are."""
        assert isinstance(window, Contrasted)
        queries = len(window.targets)
        lengths = (window.documents >= 0).sum(1)
        parts = tuple(
            (start, stop, int(lengths[start:stop].max()))
            for first, end in ((0, queries), (queries, len(lengths)))
            for start in range(first, end, self.rows_at_once)
            for stop in (min(end, start + self.rows_at_once),)
        )
        return Group(
            window.tokens,
            window.targets[:, None],
            window.documents,
            queries,
            attention=self.attention,
            excluded=window.excluded,
            parts=parts,
        )

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of the queries' passages."""
        assert isinstance(model, Headed) and isinstance(batch, Group) and batch.excluded is not None
        vectors = torch.cat([self._part(model, batch, *part) for part in batch.parts])
        queries, targets = batch.count, batch.labels[:, 0]
        total = torch.zeros((), device=vectors.device)
        sizes = (vectors.shape[1], *self.dimensions)
        for size in sizes:
            short = shortened(vectors, size, normalise=True)
            alike = short[:queries] @ short[queries:].T / self.temperature
            total = total + functional.cross_entropy(
                alike.masked_fill(batch.excluded, _NEVER), targets, reduction="sum"
            )
        return Loss(total / len(sizes), queries)

    def validation(self) -> Contrast:
        """Return itself: nothing is left to chance."""
        return self

    def _part(self, model: Headed, batch: Group, start: int, stop: int, width: int) -> Float[Tensor, "rows hidden"]:
        """Return the vectors of some rows; their activations are kept only where there is nothing else."""
        assert batch.documents is not None
        tokens, documents = batch.tokens[start:stop, :width], batch.documents[start:stop, :width]

        def read(tokens: Int[Tensor, "rows time"], documents: Int[Tensor, "rows time"]) -> Tensor:
            return model.pooled(tokens, documents)

        if len(batch.parts) <= 2 or not torch.is_grad_enabled():
            return read(tokens, documents)
        found: Tensor = checkpoint(read, tokens, documents, use_reentrant=False)
        return found
