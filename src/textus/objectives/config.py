"""The settings of an objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import AUTO, Count, Fraction, Range, Settings
from textus.errors import ConfigError

Rate = Annotated[float, Range(0, 1, open_low=True)]
CAUSAL_THEN_MASKED = "causal-then-masked"
RATES = 0.3, 0.15
"""The shares of tokens that are asked at the beginning and at the end of a run, unless told otherwise."""
VALIDATION_RATE = 0.15
"""The share of tokens that is asked wherever a masked model is measured, whatever it was trained with."""


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """Choose what a model is asked to predict."""

    name: Literal["causal", "masked", "hybrid", "diffusion"] = "causal"
    """`causal`: each token from those before it. `masked`: hidden tokens from both sides. `hybrid`: both by turns, in
    one model. `diffusion`: masked at every rate from 0 to 1, which bounds the likelihood."""
    prediction_offset: Literal[0, 1] | AUTO = "auto"
    """Masked and diffusion: whether the state at a hidden token predicts it (0: BERT, ModernBERT; auto) or the state
    before it (1: masked next token prediction, with a causal model's network). Causal and hybrid: always 1."""
    mask_rate: Rate | AUTO = "auto"
    """Share of a row's tokens that is asked at the beginning of a run; auto: 0.3, and 0.5 in a masked run of few
    tokens. Measured is always at 0.15."""
    final_mask_rate: Rate | AUTO = "auto"
    """The same at its end, auto: 0.15 or 0.3; the rate changes in equal steps. Equal to `mask_rate`: it is constant."""
    mask_unit: Literal["token", "word", "span"] = "token"
    """What is hidden together: single tokens, whole words as the tokenizer cuts text before merging, or runs of
    tokens."""
    longest_span: Count = 3
    """Tokens in the longest run; all lengths up to it are equally likely."""
    masked_share: Fraction = 0.8
    """Share of what is asked that `<mask>` takes the place of."""
    random_share: Fraction = 0.1
    """Share that other tokens, drawn evenly, take the place of; what is left of it stays as it is."""
    balance: bool = True
    """Ask each token once before any is asked twice, as nearly as whole rows allow, rather than by chance alone."""
    mix: str = "1:1"
    """Hybrid: causal rows to masked rows, as 1:15, evenly spread; or `causal-then-masked`."""
    switch_at: Fraction = 0.5
    """With `causal-then-masked`: after what share of the run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.masked_share + self.random_share > 1 + 1e-9:
            raise ConfigError(
                f"objective.masked_share and objective.random_share are {self.masked_share + self.random_share:g} "
                "together, and there is 1 to share",
                hint="BERT has 0.8 and 0.1; what is left stays as it is",
            )
        if self.name in ("causal", "hybrid") and self.prediction_offset == 0:
            raise ConfigError(
                f"objective.name={self.name} predicts the next token, and objective.prediction_offset is 0",
                hint="leave objective.prediction_offset out, or choose objective.name=masked",
            )
        self.turns()

    @property
    def offset(self) -> Literal[0, 1]:
        """Return how many positions after its state a token stands that the state predicts."""
        if self.prediction_offset != "auto":
            return self.prediction_offset
        return 1 if self.name in ("causal", "hybrid") else 0

    @property
    def rates(self) -> tuple[float, float]:
        """Return the shares that are asked at the beginning and at the end."""
        first, last = RATES
        return (
            first if self.mask_rate == "auto" else self.mask_rate,
            last if self.final_mask_rate == "auto" else self.final_mask_rate,
        )

    @property
    def attention(self) -> Literal["causal", "bidirectional"]:
        """Return how the model reads unless told otherwise."""
        return "causal" if self.name in ("causal", "hybrid") else "bidirectional"

    @property
    def is_causal_first(self) -> bool:
        """Tell whether causal rows come first, rather than evenly spread."""
        return self.mix == CAUSAL_THEN_MASKED

    def turns(self) -> tuple[int, int]:
        """Return how many causal rows go with how many masked ones."""
        if self.is_causal_first:
            return 1, 1
        causal, _, masked = self.mix.partition(":")
        counts = [int(part) if part.isascii() and part.isdigit() and len(part) < 7 else -1 for part in (causal, masked)]
        if min(counts) < 0 or not sum(counts):
            raise ConfigError(
                f"`objective.mix` must be two whole numbers or {CAUSAL_THEN_MASKED}; got {self.mix!r}",
                hint="as objective.mix=1:1, or 1:15 for one causal row to fifteen masked ones",
            )
        return counts[0], counts[1]
