"""Prefer one answer to another: a loss on pairs of answers, from the log-probabilities of each.

With `c, r` the summed log-probabilities of the chosen and the rejected answer, `c', r'` those of the model at the
beginning (the reference), `|c|, |r|` their lengths, and `h = (c - c') - (r - r')`:

```
dpo    -log s(beta h)                                                        Rafailov et al. 2023, arXiv 2305.18290
ipo    ((c - c')/|c| - (r - r')/|r| - 1/(2 beta))^2                          Azar et al. 2023, arXiv 2310.12036
kto    2 - s(beta (c - c' - K(r))) - s(beta (K(c) - (r - r')))               Ethayarajh et al. 2024, arXiv 2402.01306
simpo  -log s(beta (c/|c| - r/|r|) - margin)                                 Meng et al. 2024, arXiv 2405.14734
orpo   -c/|c| - beta log s(log odds(c/|c|) - log odds(r/|r|))                Hong et al. 2024, arXiv 2403.07691
```
`s` is the logistic function. `K(x)` is the mean of `x - x'` over the micro-batch, 0 at least, without gradient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from textus.dataset.window import Window
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.logprobs import label_logprobs
from textus.objectives.objective import Batch, Loss

Kind = Literal["dpo", "ipo", "kto", "simpo", "orpo"]
NEEDS_REFERENCE = ("dpo", "ipo", "kto")


@dataclass(frozen=True)
class Pairs:
    """What the losses are made of, a number for each pair."""

    chosen: Float[Tensor, " pairs"]
    """Summed log-probabilities."""
    rejected: Float[Tensor, " pairs"]
    chosen_reference: Float[Tensor, " pairs"]
    rejected_reference: Float[Tensor, " pairs"]
    chosen_length: Float[Tensor, " pairs"]
    rejected_length: Float[Tensor, " pairs"]

    @property
    def gains(self) -> tuple[Tensor, Tensor]:
        """Return by how much both answers are likelier than they were to the reference."""
        return self.chosen - self.chosen_reference, self.rejected - self.rejected_reference

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """Return the mean log-probability of a token of each."""
        return self.chosen / self.chosen_length, self.rejected / self.rejected_length


@dataclass(frozen=True)
class Preference:
    """Ask which of two answers is the better one."""

    kind: Kind = "dpo"
    beta: float = 0.1
    margin: float = 0.5
    """simpo."""
    smoothing: float = 0.0
    """dpo: the share of pairs that are taken to be the wrong way round (Mitchell 2023)."""
    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1
    training: InitVar[References | None] = None
    measured: InitVar[References | None] = None

    def __post_init__(self, training: References | None, measured: References | None) -> None:
        # not fields: the model and the data that they follow from are told of already
        object.__setattr__(self, "_training", training)
        object.__setattr__(self, "_measured", measured)

    def batch(self, window: Window, generator: torch.Generator) -> PairBatch:
        """Shift the window by one; its documents are pairs, the chosen answer first."""
        asked = Causal().batch(window, generator)
        documents = window.documents[:, :-1]
        counts = (documents.amax(1) + 1) // 2
        known: References | None = self.__dict__["_training"]
        reference = known.of(window) if known is not None else torch.zeros(len(documents), int(counts.max()), 2)
        return PairBatch(
            asked.tokens,
            asked.labels,
            documents,
            int(counts.sum()),
            None,
            "causal",
            None,
            counts,
            asked.num_labels,
            reference,
        )

    def loss(self, model: Transformer, batch: PairBatch) -> Loss:
        """Sum the loss over pairs."""
        pairs, _ = pairs_of(model, batch)
        return Loss(LOSSES[self.kind](pairs, self).sum(), batch.count)

    def validation(self) -> Preference:
        """Return the same question about the pairs that the model is measured on."""
        known = self.__dict__["_measured"]
        return Preference(self.kind, self.beta, self.margin, self.smoothing, training=known, measured=known)


@dataclass(frozen=True)
class PairBatch(Batch):
    """A batch whose predictions are pairs."""

    reference: Float[Tensor, "batch pairs 2"] | None = None
    """The reference's summed log-probabilities of each row's pairs; 0 where there is none."""

    def split(self, rows: int) -> Iterator[PairBatch]:
        """Cut into micro-batches; every row has a pair, so that none is left out."""
        assert self.reference is not None
        for part, reference in zip(super().split(rows), torch.split(self.reference, rows), strict=True):
            assert isinstance(part, PairBatch)
            yield dataclasses.replace(part, reference=reference)

    def _map(self, change: Callable[[Tensor], Tensor]) -> PairBatch:
        changed = super()._map(change)
        assert isinstance(changed, PairBatch) and changed.reference is not None
        return dataclasses.replace(changed, reference=change(changed.reference))


@dataclass(frozen=True, eq=False)
class References:
    """The reference's log-probabilities of the answers of a split, by where they stand in it."""

    offsets: Int[np.ndarray, " examples_and_1"]
    sums: Float[np.ndarray, " examples"]

    def of(self, window: Window) -> Float[Tensor, "batch pairs 2"]:
        """Return those of a window's rows."""
        assert window.origin is not None
        places, documents = window.origin.places.numpy(), window.documents.numpy()
        found = np.zeros((len(places), max(1, (int(documents.max()) + 1) // 2), 2), np.float32)
        for row, numbers in enumerate(documents):
            first = np.flatnonzero(np.diff(numbers, prepend=-2) * (numbers >= 0))
            examples = np.searchsorted(self.offsets, places[row, first], "right") - 1
            found[row, : len(examples) // 2] = self.sums[examples].reshape(-1, 2)
        return torch.from_numpy(found)


def pairs_of(model: Transformer, batch: PairBatch) -> tuple[Pairs, Bool[Tensor, "batch pairs"]]:
    """Return what a model says of the pairs of a batch, and which places of its rows hold one."""
    assert batch.reference is not None and batch.documents is not None
    logprobs = label_logprobs(model, batch)
    documents = 2 * batch.reference.shape[1]
    inside = batch.documents.clamp(min=0)
    asked = (batch.labels >= 0) & (batch.documents >= 0)
    sums = logprobs.new_zeros(len(logprobs), documents).scatter_add(1, inside, logprobs)
    lengths = logprobs.new_zeros(len(logprobs), documents).scatter_add(1, inside, asked.float())
    there = (lengths[:, 0::2] > 0) & (lengths[:, 1::2] > 0)
    chosen, rejected = sums[:, 0::2][there], sums[:, 1::2][there]
    reference = batch.reference[there]
    return Pairs(
        chosen, rejected, reference[:, 0], reference[:, 1], lengths[:, 0::2][there], lengths[:, 1::2][there]
    ), there


def _h(pairs: Pairs) -> Tensor:
    chosen, rejected = pairs.gains
    return chosen - rejected


def _dpo(pairs: Pairs, asked: Preference) -> Tensor:
    h, wrong = asked.beta * _h(pairs), asked.smoothing
    return -(1 - wrong) * logsigmoid(h) - wrong * logsigmoid(-h)


def _ipo(pairs: Pairs, asked: Preference) -> Tensor:
    chosen, rejected = pairs.gains
    return (chosen / pairs.chosen_length - rejected / pairs.rejected_length - 1 / (2 * asked.beta)).square()


def _kto(pairs: Pairs, asked: Preference) -> Tensor:
    chosen, rejected = pairs.gains
    of_chosen, of_rejected = (gain.mean().clamp(min=0).detach() for gain in (chosen, rejected))
    good, bad = asked.beta * (chosen - of_rejected), asked.beta * (of_chosen - rejected)
    return 2 - good.sigmoid() - bad.sigmoid()


def _simpo(pairs: Pairs, asked: Preference) -> Tensor:
    chosen, rejected = pairs.means
    return -logsigmoid(asked.beta * (chosen - rejected) - asked.margin)


def _orpo(pairs: Pairs, asked: Preference) -> Tensor:
    chosen, rejected = pairs.means
    odds = (chosen - rejected) - (torch.log1p(-chosen.exp()) - torch.log1p(-rejected.exp()))
    return -chosen - asked.beta * logsigmoid(odds)


LOSSES: dict[str, Callable[[Pairs, Preference], Tensor]] = {
    "dpo": _dpo,
    "ipo": _ipo,
    "kto": _kto,
    "simpo": _simpo,
    "orpo": _orpo,
}
"""A number for each pair. To add one, write it, and enter it here and in the settings."""
