"""A prompt as the tokens that a model reads before it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textus.errors import ConfigError
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

Cut = Literal["refuse", "start", "end"]
"""What is left out of a prompt that is too long: nothing, it is refused; its start; or its end."""


def framed(
    model: Transformer, tokenizer: Tokenizer, prompt: str | Sequence[int], cut: Cut = "refuse", *, bare: bool = False
) -> list[int]:
    """Return the tokens of the prompt behind the one that begins texts, or say why the model cannot continue them.

    Text that looks like a special token is ordinary text; ids that begin with that token stay as they are, and with
    `bare` all ids: a chat template writes itself what stands before the first turn.
    """
    config = model.config
    if (config.attention, config.prediction_offset) != ("causal", 1):
        raise ConfigError(
            "this model reads both ways and cannot write from left to right",
            hint="use `textus fill` with it, or train with objective.name=causal",
        )
    tokens = tokenizer.encode(prompt) if isinstance(prompt, str) else [int(token) for token in prompt]
    known = min(config.vocab_size, tokenizer.vocab_size)
    if strange := [token for token in tokens if not 0 <= token < known]:
        raise ConfigError(
            f"the prompt holds token {strange[0]}; the model knows 0 to {known - 1}",
            hint="make the tokens with the model's own tokenizer",
        )
    before = [] if bare and tokens else [tokenizer.begin]
    if tokens[:1] == before:
        tokens = tokens[1:]
    excess = len(tokens) + len(before) - config.context_length
    if excess > 0 and cut == "refuse":
        raise ConfigError(
            f"the prompt has {len(tokens) + len(before)} tokens, END included; the model reads at most "
            f"{config.context_length}",
            hint=f"shorten it, or let it be cut: `cut` start leaves out its first {excess} tokens, `cut` end its last",
        )
    if excess > 0:
        tokens = tokens[excess:] if cut == "start" else tokens[:-excess]
    return [*before, *tokens]
