"""Predict hidden tokens at every rate of hiding: masked diffusion, whose loss bounds the likelihood.

The bound is that of MDLM (Sahoo et al. 2024, arXiv 2406.07524) and LLaDA (Nie et al. 2025, arXiv 2502.09992): with
`t ~ U(0, 1)` and each token hidden with probability `t`,

    -log p(x) <= E_t E_hidden [ 1/t * sum over hidden tokens of -log p(token | what is left) ].
"""

from __future__ import annotations

import dataclasses
from dataclasses import InitVar, dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from textus.dataset.window import Window
from textus.model.transformer import Transformer
from textus.objectives.causal import labelled_loss
from textus.objectives.chance import draws, origin_of
from textus.objectives.masked import shifted
from textus.objectives.masking import askable
from textus.objectives.objective import Batch, Loss
from textus.objectives.vocabulary import Vocabulary

LEAST = 1e-3
"""The lowest rate of hiding: below it a hidden token would count more than a thousandfold."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Diffusion:
    """Hide each token with a probability that is drawn anew for each row, and weigh by its inverse.

    The loss is a sum over all tokens that could be hidden, hidden or not, so its mean is a bound in nats per token.
    Rates of neighbouring rows are spread evenly over (0, 1): fewer rows give the same error.
    """

    vocabulary: InitVar[Vocabulary]
    prediction_offset: Literal[0, 1] = 0
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
        """Hide tokens of a window at one rate a row; chance comes from where its rows were cut, or `generator`."""
        origin = origin_of(window, generator)
        epochs, places = origin.epochs.numpy()[:, None], origin.places.numpy()
        shift = 0 if window.origin is not None else int(origin.epochs[0])
        rates = self.rates(origin.numbers.numpy() + shift)
        may = askable(window, self.words)
        hidden = may & (draws(self.seed, 0, epochs, places) < rates[:, None])
        tokens = window.tokens.masked_fill(torch.from_numpy(hidden), self.words.mask)
        return shifted(
            window,
            tokens,
            torch.from_numpy(hidden),
            self.prediction_offset,
            weights=torch.from_numpy(1 / rates).float(),
            counts=torch.from_numpy(may.sum(1)),
        )

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the weighted negative log-probabilities of the hidden tokens."""
        return labelled_loss(model, batch)

    def validation(self) -> Diffusion:
        """Return the question that a model is measured by: the same tokens at the same rates each time."""
        return dataclasses.replace(self, vocabulary=self.words, seed=0)

    def rates(self, numbers: Int[ndarray, " batch"]) -> Float[ndarray, " batch"]:
        """Return the rate of hiding of the windows with these numbers: a Kronecker sequence from a random start."""
        start = draws(self.seed, 1, np.zeros(1, np.int64), np.zeros(1, np.int64))
        return LEAST + (1 - LEAST) * ((start + (numbers % 2**32) * _GOLDEN) % 1.0)
