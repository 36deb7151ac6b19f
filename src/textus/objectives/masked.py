"""Predict hidden tokens from both sides."""

from __future__ import annotations

import dataclasses
from dataclasses import InitVar, dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from textus.dataset.window import PADDING, Window
from textus.model.transformer import Transformer
from textus.objectives.causal import labelled_loss
from textus.objectives.chance import draws, origin_of
from textus.objectives.config import VALIDATION_RATE
from textus.objectives.masking import Unit, choose, due, replaced, units
from textus.objectives.objective import IGNORE, Batch, Loss
from textus.objectives.vocabulary import Vocabulary


@dataclass(frozen=True)
class Masked:
    """Hide some tokens of each row and ask for them (Devlin et al. 2018, arXiv 1810.04805).

    Every row of whole text is asked for the same number of tokens, `rate` times its length. With offset 1 the state
    before a hidden token predicts it (masked next token prediction, GPT-BERT, arXiv 2410.24159), so that head and
    labels are those of a causal model. What is hidden is drawn from (seed, epoch, place in the text) alone.
    """

    vocabulary: InitVar[Vocabulary]
    prediction_offset: Literal[0, 1] = 0
    rate: float = 0.3
    final_rate: float = 0.15
    """The rate of window `over` and of those after it; before it, the rate falls evenly."""
    over: int = 0
    """0: the rate stays as it begins."""
    unit: Unit = "token"
    longest_span: int = 3
    masked_share: float = 0.8
    random_share: float = 0.1
    balance: bool = True
    seed: int = 0
    attention: Literal["bidirectional"] = "bidirectional"

    def __post_init__(self, vocabulary: Vocabulary) -> None:
        object.__setattr__(self, "_vocabulary", vocabulary)

    @property
    def words(self) -> Vocabulary:
        """Return what it knows of the tokenizer."""
        vocabulary: Vocabulary = self.__dict__["_vocabulary"]
        return vocabulary

    def batch(self, window: Window, generator: torch.Generator) -> Batch:
        """Hide tokens of a window; chance comes from where its rows were cut, or from `generator` where they were not.

        With offset 1, position i is asked for token i + 1, as a causal model is.
        """
        origin = origin_of(window, generator)
        epochs, places, numbers = origin.epochs.numpy()[:, None], origin.places.numpy(), origin.numbers.numpy()
        found = units(window, self.words, self.unit, self.longest_span, self.seed, epochs, places)
        size = (window.documents.numpy()[:, self.prediction_offset :] != PADDING).sum(1)
        counts = np.maximum(1, np.rint(self.rate_at(numbers) * size)).astype(np.int64)
        if self.balance and window.origin is not None:
            keys = due(self.seed, self._covered(epochs, origin.per_epoch.numpy()[:, None]), places)
        else:
            keys = draws(self.seed, 0, epochs, places)
        asked, hidden = choose(keys, found, counts)
        shares = self.masked_share, self.random_share
        tokens = torch.from_numpy(replaced(window, hidden, found, self.words, shares, self.seed, epochs, places))
        return shifted(window, tokens, torch.from_numpy(asked), self.prediction_offset)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of the hidden tokens."""
        return labelled_loss(model, batch)

    def validation(self) -> Masked:
        """Return the question that every model is measured by: 15 %, single tokens, `<mask>` for all, each time these.

        What stays as it is or is replaced by others would make some answers easy; these are all alike.
        """
        return dataclasses.replace(
            self,
            vocabulary=self.words,
            rate=VALIDATION_RATE,
            final_rate=VALIDATION_RATE,
            over=0,
            unit="token",
            masked_share=1.0,
            random_share=0.0,
            balance=False,
            seed=0,
        )

    def rate_at(self, numbers: Int[ndarray, " batch"]) -> Float[ndarray, " batch"]:
        """Return the share that is asked of the windows with these numbers."""
        if not self.over:
            return np.full(len(numbers), self.rate)
        rates: np.ndarray = self.rate + (self.final_rate - self.rate) * np.minimum(1.0, numbers / self.over)
        return rates

    def _covered(
        self, epochs: Int[ndarray, "batch 1"], per_epoch: Int[ndarray, "batch 1"]
    ) -> Float[ndarray, "batch 1"]:
        """Return how often every token was asked, on average, before each row's epoch: the integral of the rate."""
        shown = (epochs * per_epoch).astype(np.float64)
        if not self.over:
            constant: np.ndarray = self.rate * shown / per_epoch
            return constant
        falling = np.minimum(shown, self.over)
        area = self.rate * falling + (self.final_rate - self.rate) * falling**2 / (2 * self.over)
        covered: np.ndarray = (area + self.final_rate * (shown - falling)) / per_epoch
        return covered


def shifted(
    window: Window,
    tokens: torch.Tensor,
    asked: torch.Tensor,
    offset: Literal[0, 1],
    *,
    weights: torch.Tensor | None = None,
    counts: torch.Tensor | None = None,
) -> Batch:
    """Make a batch that reads `tokens` both ways and is asked for the window's own at `asked`, from `offset` before."""
    if offset:
        read, ahead = window.documents[:, :-1], window.documents[:, 1:]
        labels = window.tokens[:, 1:].masked_fill(~(asked[:, 1:] & (read == ahead)), IGNORE)
        tokens = tokens[:, :-1]
    else:
        read = window.documents
        labels = window.tokens.masked_fill(~asked, IGNORE)
    alone = bool(window.one_document.all())
    return Batch.of(tokens, labels, None if alone else read, attention="bidirectional", weights=weights, counts=counts)
