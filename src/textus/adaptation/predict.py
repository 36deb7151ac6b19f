"""What a model with a head answers, text by text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from textus.dataset.labelled import side_by_side
from textus.model.headed import Headed
from textus.objectives.measure import evaluating

BATCH_TOKENS = 8192
"""Read at a time."""
Read = Callable[[Tensor, Tensor | None], Tensor]


def text_logits(model: Headed, rows: Sequence[Sequence[int]]) -> Float[Tensor, "texts labels"]:
    """Return a number for each text and label, on the CPU."""
    return _each(model, rows, lambda tokens, documents: model.logits(model.pooled(tokens, documents)))


def text_vectors(model: Headed, rows: Sequence[Sequence[int]]) -> Float[Tensor, "texts hidden"]:
    """Return one vector for each text, as long as it comes, on the CPU."""
    return _each(model, rows, model.pooled)


def word_logits(
    model: Headed, rows: Sequence[Sequence[int]], asked: Sequence[Sequence[int]]
) -> list[Float[Tensor, "words labels"]]:
    """Return for each text a number for each of its words and each label, on the CPU."""
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    with evaluating(model), torch.inference_mode():
        for part in by_length(rows):
            tokens, documents = _on(model, [rows[number] for number in part])
            states = model.encode(tokens, documents, attention=model.task.reading)
            for row, number in zip(states, part, strict=True):
                found[number] = model.logits(row[torch.tensor(asked[number], device=row.device)]).cpu()
    return found


def by_length(rows: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Yield the numbers of rows that are read together: of like length, and of so many tokens at most.

    >>> list(by_length([[1] * 5, [1], [1] * 4, [1, 1]], batch_tokens=10))
    [[1, 3], [2, 0]]
    """
    part: list[int] = []
    for number in sorted(range(len(rows)), key=lambda number: len(rows[number])):
        if part and (len(part) + 1) * len(rows[number]) > batch_tokens:
            yield part
            part = []
        part.append(number)
    if part:
        yield part


def _each(model: Headed, rows: Sequence[Sequence[int]], read: Read) -> Tensor:
    parts, order = [], []
    with evaluating(model), torch.inference_mode():
        for part in by_length(rows):
            parts.append(read(*_on(model, [rows[number] for number in part])).float().cpu())
            order += part
    found = torch.cat(parts)
    back = torch.empty_like(found)
    back[torch.tensor(order)] = found
    return back


def _on(model: Headed, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor | None]:
    device = model.embedding.weight.device
    tokens, documents = side_by_side(rows)
    alone = bool((documents >= 0).all())
    return tokens.to(device), None if alone else documents.to(device)
