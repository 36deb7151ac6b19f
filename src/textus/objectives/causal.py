"""Predict each token from those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from textus.dataset.window import Window
from textus.model.transformer import Transformer
from textus.objectives.cross_entropy import linear_cross_entropy, penalised_cross_entropy
from textus.objectives.further import further_loss
from textus.objectives.objective import IGNORE, Batch, Loss

_MOST_ASKED = 0.75
"""From this share of asked positions on, a GPU passes all of them to the head."""


@dataclass(frozen=True)
class Causal:
    """Ask, at every position, for the token after it in the same document."""

    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1

    def batch(self, window: Window, generator: torch.Generator) -> Batch:
        """Shift the window by one: position i is asked for token i + 1."""
        read, asked = window.documents[:, :-1], window.documents[:, 1:]
        labels = window.tokens[:, 1:].masked_fill(~(window.predict[:, 1:] & (read == asked)), IGNORE)
        alone = bool(window.one_document.all())
        return Batch.of(window.tokens[:, :-1], labels, None if alone else read, attention="causal")

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of the labels."""
        return labelled_loss(model, batch)

    def validation(self) -> Causal:
        """Return itself: nothing is left to chance."""
        return self


def labelled_loss(model: Transformer, batch: Batch) -> Loss:
    """Sum the negative log-probabilities of a batch's labels; the head sees only positions that are asked."""
    states = model.encode(batch.tokens, batch.documents, spans=batch.spans, attention=batch.attention)
    hidden, labels = states.flatten(0, 1), batch.labels.flatten()
    weights = None if batch.weights is None else batch.weights.repeat_interleave(batch.labels.shape[1])
    # a GPU makes the logits of a few positions too many sooner than it picks out the others
    few = batch.num_labels < (1.0 if hidden.device.type == "cpu" else _MOST_ASKED) * len(labels)
    if few:
        # nonzero would wait for the device; where the count is known, it need not; a place too many is -1
        asked = torch.nonzero_static(labels != IGNORE, size=batch.num_labels).squeeze(1)
        hidden, labels = hidden[asked], labels[asked].where(asked >= 0, IGNORE)
        weights = None if weights is None else weights[asked]
    hidden, matrix = model.as_product(hidden)
    aids = model.aids if model.training else None
    if aids is None:
        return Loss(linear_cross_entropy(hidden, matrix, labels, weights), batch.count)
    total, told = penalised_cross_entropy(hidden, matrix, labels, aids.z_loss, weights)
    if len(aids.heads):
        total = total + further_loss(model, aids, states, batch)
    return Loss(total, batch.count, told)
