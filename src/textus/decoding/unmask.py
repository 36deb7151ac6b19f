"""Write with a model that reads both ways: hide everything that is to be written, and settle it token by token.

At each step all hidden tokens are guessed, and those that the model is surest of stay (LLaDA, arXiv 2502.09992, with
remasking of the least certain). With as many steps as tokens one is settled at a time; with fewer, several are, which
do not know of each other.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.config import Count, NonNegative, Range, check
from textus.decoding.config import MINIMUM_TEMPERATURE
from textus.model.hidden import both_ways, hidden_log_probabilities
from textus.model.transformer import Transformer
from textus.objectives.chance import draws
from textus.objectives.measure import evaluating
from textus.tokenizer.tokenizer import Tokenizer


def unmask(
    model: Transformer,
    tokenizer: Tokenizer,
    tokens: list[int],
    *,
    steps: int,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[int]:
    """Return `tokens` with every `<mask>` in them settled in `steps` steps; no special token is ever written.

    At temperature 0 the likeliest token is taken, else one is drawn; the same seed gives the same tokens. Raises
    `ConfigError` where the model reads from left to right only.
    """
    both_ways(model, "writing in any order")
    check(Count, steps, "steps", "unmask")
    check(NonNegative, temperature, "temperature", "unmask")
    check(Annotated[int, Range(0, 2**63 - 1)], seed, "seed", "unmask")
    written = list(tokens)
    hidden = [position for position, token in enumerate(written) if token == tokenizer.mask]
    special = sorted({tokenizer.mask, *tokenizer.special})
    with evaluating(model), torch.inference_mode():
        for step in range(steps):
            if not hidden:
                break
            (likely,) = hidden_log_probabilities(model, [written], [hidden])
            likely = likely[:, : tokenizer.vocab_size].cpu().double()
            likely[:, special] = -torch.inf
            guesses = _guess(likely, hidden, step, temperature, seed)
            sure = likely.gather(1, guesses.unsqueeze(1)).squeeze(1)
            # what is left is shared out evenly over the steps that are left
            count = -(-len(hidden) // (steps - step))
            settled = sure.argsort(descending=True, stable=True)[:count].tolist()
            for place in settled:
                written[hidden[place]] = int(guesses[place])
            hidden = [position for place, position in enumerate(hidden) if place not in settled]
    return written


def _guess(
    likely: Float[Tensor, "hidden vocab"], positions: list[int], step: int, temperature: float, seed: int
) -> Int[Tensor, " hidden"]:
    """Take the likeliest token at each position, or draw one: the highest of all with Gumbel noise on them."""
    if temperature < MINIMUM_TEMPERATURE:
        return likely.argmax(1)
    places = np.array(positions, np.int64)[:, None]
    chance = draws(seed, 0, places, step * 2**32 + np.arange(likely.shape[1]))
    noise = torch.from_numpy(-np.log(-np.log(chance + 2.0**-54)))
    return (likely / temperature + noise).argmax(1)
