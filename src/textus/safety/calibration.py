"""Make a network's numbers mean what they say, and choose from which one on a category counts as found.

Dividing logits by a temperature (Guo et al. 2017) changes no order. It goes into the weights of the head, so that
whoever opens the model, transformers too, gets probabilities that were calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from textus.model.headed import Headed
from textus.safety.rates import temperature, threshold_at

FEWEST = 10
"""A category with fewer texts of either kind has no temperature of its own but that of all together."""
Known = Int[ndarray, "texts labels"]


def temperatures(logits: Float[ndarray, "texts labels"], known: Known) -> list[float]:
    """Return for each label the number to divide its logits by; -1 in `known` is what nobody has said."""
    there = known >= 0
    shared = temperature(logits[there].tolist(), (known[there] == 1).tolist()) if there.any() else 1.0
    found = []
    for column in range(logits.shape[1]):
        told, rows = known[:, column], there[:, column]
        enough = min((told == 1).sum(), (told == 0).sum()) >= FEWEST
        found.append(temperature(logits[rows, column].tolist(), (told[rows] == 1).tolist()) if enough else shared)
    return found


def calibrate(model: Headed, divisors: Sequence[float]) -> None:
    """Divide the logits of each label, by way of the head's weights."""
    assert model.classifier is not None
    by = torch.tensor(divisors, dtype=torch.float64)
    with torch.no_grad():
        weight = model.classifier.weight
        assert isinstance(weight, torch.Tensor)
        weight.copy_((weight.double() / by.to(weight.device)[:, None]).to(weight.dtype))
        if model.classifier_bias is not None:
            bias = model.classifier_bias.weight
            bias.copy_((bias.double() / by.to(bias.device)).to(bias.dtype))


def thresholds(chances: Float[ndarray, "texts labels"], known: Known, false_alarms: float) -> list[float]:
    """Return for each label the score that at most this share of the texts without it reaches."""
    columns = zip(chances.T, known.T, strict=True)
    return [threshold_at(scores[told == 0].tolist(), false_alarms) for scores, told in columns]


def sigmoid(logits: Float[ndarray, "*any"]) -> Float[ndarray, "*any"]:
    """Return probabilities, as the guard computes them."""
    found: np.ndarray = torch.from_numpy(logits).sigmoid().numpy()
    return found
