"""A model's vocabulary, grown: new tokens begin at the mean of all others, or of what stood in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from textus.model.transformer import Transformer


@torch.no_grad()
def grown(model: Transformer, vocab_size: int) -> Transformer:
    """Return the model with rows for `vocab_size` tokens, or the model itself where it has them."""
    if vocab_size <= model.config.vocab_size:
        return model
    with torch.device("meta"):
        larger = Transformer(replace(model.config, vocab_size=vocab_size))
    state = dict(model.state_dict())
    for name in ("embedding.weight", "head.weight"):
        rows = state[name]
        state[name] = torch.cat([rows, rows.mean(0, keepdim=True).expand(vocab_size - len(rows), -1)])
    larger.load_state_dict(state, assign=True)
    larger.tie()
    return larger.requires_grad_().train(model.training)


@torch.no_grad()
def begin_at_mean(model: Transformer, tokens: Sequence[int]) -> None:
    """Put tokens that the model has never seen at the mean of all others, where it reads them and where it writes."""
    if not tokens:
        return
    rest = torch.ones(model.config.vocab_size, dtype=torch.bool, device=model.embedding.weight.device)
    rest[list(tokens)] = False
    for weight in {id(weight): weight for weight in (model.embedding.weight, model.head.weight)}.values():
        weight[list(tokens)] = weight[rest].mean(0)


@torch.no_grad()
def begin_at_parts(model: Transformer, first: int, made_of: Sequence[Sequence[int]]) -> None:
    """Put new tokens at the mean of the tokens that stood in their place, where they are read and where written.

    The first of them has the number `first`; the rows must be there.
    """
    for weight in {id(weight): weight for weight in (model.embedding.weight, model.head.weight)}.values():
        for token, parts in enumerate(made_of, first):
            weight[token] = weight[list(parts)].mean(0)
