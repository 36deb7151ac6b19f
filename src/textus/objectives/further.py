"""What is minimised beside the loss that is told: answers about tokens after the next one."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.model.aids import Aids
from textus.model.transformer import Transformer
from textus.objectives.cross_entropy import linear_cross_entropy
from textus.objectives.objective import IGNORE, Batch


def further_loss(
    model: Transformer, aids: Aids, states: Float[Tensor, "batch time hidden"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the mean over the heads of their summed negative log-probabilities, times its weight."""
    total = torch.zeros((), device=states.device)
    for further, turned in aids.futures(states):
        labels = labels_after(batch.labels, batch.documents, further).flatten()
        total = total + linear_cross_entropy(*model.as_product(turned.flatten(0, 1)), labels)
    return total * (aids.future_weight / len(aids.heads))


def labels_after(
    labels: Int[Tensor, "batch time"], documents: Int[Tensor, "batch time"] | None, further: int
) -> Int[Tensor, "batch time"]:
    """Ask each position for what the one `further` after it is asked, where that reads the same document.

    >>> labels_after(torch.tensor([[1, 2, -100, 4, 5]]), torch.tensor([[0, 0, 0, 1, 1]]), 1)
    tensor([[   2, -100, -100,    5, -100]])
    """
    later = torch.full_like(labels, IGNORE)
    later[:, :-further] = labels[:, further:]
    if documents is not None:
        later[:, :-further].masked_fill_(documents[:, :-further] != documents[:, further:], IGNORE)
    return later
