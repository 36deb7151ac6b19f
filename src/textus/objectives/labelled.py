"""Ask about whole texts, or about their words, what the user's examples say of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch.nn import functional

from textus.dataset.labelled import Labelled
from textus.dataset.window import PADDING, Window
from textus.model.headed import Headed
from textus.model.transformer import Transformer
from textus.objectives.objective import IGNORE, Batch, Loss


@dataclass(frozen=True)
class _Labels:
    """What is asked of labelled examples, whatever has the labels."""

    attention: Literal["causal", "bidirectional"] = "bidirectional"
    errors: bool = False
    """Count wrong answers rather than nats: what trials are chosen by."""
    prediction_offset: Literal[0] = 0

    def batch(self, window: Window, generator: torch.Generator) -> Batch:
        """Take texts and labels as they are."""
        assert isinstance(window, Labelled)
        labels = window.labels.masked_fill(window.labels == PADDING, IGNORE)
        alone = bool(window.one_document.all())
        return Batch.of(window.tokens, labels, None if alone else window.documents, attention=self.attention)

    def validation(self) -> Self:
        """Count errors."""
        return dataclasses.replace(self, errors=True)


@dataclass(frozen=True)
class Classify(_Labels):
    """Ask for the label of each text, or with `several` for each label whether it holds."""

    several: bool = False

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of the labels, or the errors."""
        assert isinstance(model, Headed)
        logits = model.logits(model.pooled(batch.tokens, batch.documents, batch.spans))
        if self.several:
            wrong = (logits > 0) != (batch.labels > 0)
            nats = functional.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype), reduction="sum")
        else:
            labels = batch.labels[:, 0]
            wrong = logits.argmax(1) != labels
            nats = functional.cross_entropy(logits, labels, reduction="sum")
        return Loss(wrong.sum().float() if self.errors else nats, batch.count)


@dataclass(frozen=True)
class Tag(_Labels):
    """Ask for the label of each word, at one of its tokens."""

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of the labels, or the errors; the head sees only what is asked."""
        assert isinstance(model, Headed)
        states = model.encode(batch.tokens, batch.documents, spans=batch.spans, attention=self.attention)
        labels = batch.labels.flatten()
        asked = torch.nonzero_static(labels != IGNORE, size=batch.num_labels).squeeze(1)
        logits, labels = model.logits(states.flatten(0, 1)[asked]), labels[asked]
        if self.errors:
            return Loss((logits.argmax(1) != labels).sum().float(), batch.count)
        return Loss(functional.cross_entropy(logits, labels, reduction="sum"), batch.count)


@dataclass(frozen=True)
class Moderate(_Labels):
    """Ask for each category whether it holds of a text, where the example says so.

    Trials are chosen by nats: of a category that is rare, an answer that never finds it has hardly any errors.
    """

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of what is known."""
        assert isinstance(model, Headed)
        logits = model.logits(model.pooled(batch.tokens, batch.documents, batch.spans))
        known = batch.labels != IGNORE
        nats = functional.binary_cross_entropy_with_logits(
            logits, batch.labels.clamp(min=0).to(logits.dtype), known.to(logits.dtype), reduction="sum"
        )
        return Loss(nats, batch.count)
