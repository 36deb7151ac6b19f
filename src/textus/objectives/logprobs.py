"""The log-probability of each label by itself, where a sum over all is not enough."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from textus.model.transformer import Transformer
from textus.objectives.objective import IGNORE, Batch

_LOGITS = {"cpu": 2**22, "gpu": 2**27}
"""So many logits exist at a time, at most."""


def label_logprobs(model: Transformer, batch: Batch, temperature: float = 1.0) -> Float[Tensor, "batch time"]:
    """Return ln p of each label, in float32, and 0 where nothing is asked; `temperature` divides the logits.

    Logits are made for a few positions at a time, and again in the backward pass, so that memory does not grow with
    positions x vocabulary.
    """
    states = model.encode(batch.tokens, batch.documents, spans=batch.spans, attention=batch.attention)
    labels = batch.labels.flatten()
    asked = torch.nonzero_static(labels != IGNORE, size=batch.num_labels).squeeze(1)
    hidden, wanted = model.before_head(states.flatten(0, 1)[asked]), labels[asked]
    most = _LOGITS["cpu" if hidden.device.type == "cpu" else "gpu"]
    size = max(64, most // model.config.vocab_size)
    parts = [
        checkpoint(_logprobs, part, model.head.weight, target, temperature, use_reentrant=False)
        for part, target in zip(torch.split(hidden, size), torch.split(wanted, size), strict=True)
    ]
    found = torch.zeros(len(labels), dtype=torch.float32, device=hidden.device)
    return found.index_copy(0, asked, torch.cat(parts)).view(batch.labels.shape)


def _logprobs(
    hidden: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocab hidden"],
    labels: Int[Tensor, " rows"],
    temperature: float,
) -> Float[Tensor, " rows"]:
    logits = functional.linear(hidden, weight.to(hidden.dtype)).float() / temperature
    return logits.gather(1, labels.unsqueeze(1)).squeeze(1) - logits.logsumexp(1)
