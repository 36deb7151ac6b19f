"""Which objectives there are: a new one is its file, its name in the settings, and a line here."""

from __future__ import annotations

from textus.objectives.causal import Causal
from textus.objectives.config import ObjectiveConfig
from textus.objectives.diffusion import Diffusion
from textus.objectives.hybrid import Hybrid
from textus.objectives.masked import Masked
from textus.objectives.objective import Objective
from textus.objectives.vocabulary import Vocabulary
from textus.tokenizer.tokenizer import Tokenizer


def build(config: ObjectiveConfig, tokenizer: Tokenizer, num_windows: int, seed: int) -> Objective:
    """Make the objective that settings name, for a run that shows `num_windows` windows."""
    if config.name == "causal":
        return Causal()
    vocabulary, (rate, final_rate) = Vocabulary.of(tokenizer), config.rates
    if config.name == "diffusion":
        return Diffusion(vocabulary, config.offset, seed)
    masked = Masked(
        vocabulary,
        prediction_offset=config.offset,
        rate=rate,
        final_rate=final_rate,
        over=num_windows if final_rate != rate else 0,
        unit=config.mask_unit,
        longest_span=config.longest_span,
        masked_share=config.masked_share,
        random_share=config.random_share,
        balance=config.balance,
        seed=seed,
    )
    if config.name == "masked":
        return masked
    # 0 would mean "by turns"
    switch = max(1, round(config.switch_at * num_windows)) if config.is_causal_first else 0
    return Hybrid(masked, config.turns(), switch)
