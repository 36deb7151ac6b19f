"""What a model that reads both ways holds for likely where a token is hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.errors import ConfigError
from textus.model.transformer import Reading, Transformer

PADDING = -1
"""The number of no document."""
_LOGITS = 2**24
"""How many logits exist at a time, at most: 64 MB of float32."""


def both_ways(model: Transformer, purpose: str) -> Reading:
    """Return how to let a model read both sides; raise `ConfigError` where it was not trained to."""
    if "bidirectional" not in model.config.readings:
        raise ConfigError(
            f"this model reads from left to right only, and {purpose} needs both sides",
            hint="train one with objective.name=masked, or hybrid for a model that does both",
        )
    return "bidirectional"


def hidden_log_probabilities(
    model: Transformer, rows: Sequence[Sequence[int]], asked: Sequence[Sequence[int]], *, batch_tokens: int = 16_384
) -> Iterator[Float[Tensor, "asked vocab"]]:
    """Yield, row by row, ln p of every token at the `asked` positions, from all that the row shows.

    Rows may differ in length; each is a document of its own. With prediction offset 1 a position is predicted by the
    state before it, so the first cannot be asked.
    """
    reading = both_ways(model, "predicting hidden tokens")
    offset, device = model.config.prediction_offset, model.embedding.weight.device
    start = 0
    while start < len(rows):
        stop, longest = start, 0
        while stop < len(rows) and (
            stop == start or max(longest, len(rows[stop])) * (stop + 1 - start) <= batch_tokens
        ):
            longest, stop = max(longest, len(rows[stop])), stop + 1
        tokens, documents = padded(rows[start:stop], device)
        states = model.encode(tokens, documents, attention=reading)
        for row, positions in enumerate(asked[start:stop]):
            wanted = states[row, torch.tensor([position - offset for position in positions], device=device)]
            yield logarithms(model, wanted)
        start = stop


def logarithms(model: Transformer, states: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocab"]:
    """Return ln p of every token that states predict, in float32."""
    split = torch.split(states, logit_rows(model))
    return torch.cat([model.head(model.before_head(part)).float().log_softmax(-1) for part in split])


def logit_rows(model: Transformer) -> int:
    """Return how many tokens may have their logits at a time."""
    return max(1, _LOGITS // model.config.vocab_size)


def padded(
    rows: Sequence[Sequence[int]], device: torch.device
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"] | None]:
    """Return rows of unequal length as one tensor, and their documents where something is padding."""
    time = max(map(len, rows))
    tokens = torch.zeros(len(rows), time, dtype=torch.long)
    documents = torch.full((len(rows), time), PADDING)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row)
        documents[number, : len(row)] = 0
    alone = all(len(row) == time for row in rows)
    return tokens.to(device), None if alone else documents.to(device)
