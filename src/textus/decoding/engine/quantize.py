"""Weights of 8 bits for writing on a CPU: a quarter of the memory to be read for each token, which is what it waits for.

Only weights are rounded, each row of a matrix to 255 steps of its own; states stay as they are. So nothing depends on
what else is in the batch, and no text has to be seen to choose the steps (LLM.int8, arXiv 2208.07339, section 2.1).
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from textus.errors import ConfigError
from textus.model.layers import Linear
from textus.model.transformer import Transformer

MOST_ROWS = 4
"""With more rows than this a product in float32 with the same numbers is faster: each weight is used often enough."""


class Int8Linear(nn.Module):
    """Multiply by a matrix whose rows are whole numbers from -127 to 127, each times a scale."""

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None = None) -> None:
        super().__init__()
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        steps = (weight / scale[:, None]).round_()
        self.register_buffer("steps", steps.to(torch.int8))
        self.register_buffer("scale", scale)
        # the same numbers once more, for many rows at once: a product of them has no equal among those of 8 bits
        self.register_buffer("wide", steps.mul_(scale[:, None]))
        self.register_buffer("bias", bias)

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Return the products."""
        rows = x.flatten(0, -2)
        if len(rows) > MOST_ROWS:
            return functional.linear(x, self.get_buffer("wide").to(x.dtype), self.bias)
        found: Tensor = torch._weight_int8pack_mm(rows, self.get_buffer("steps"), self.get_buffer("scale").to(x.dtype))
        if self.bias is not None:
            found += self.bias
        return found.unflatten(0, x.shape[:-1])


def quantize(model: Transformer) -> Transformer:
    """Return the same model with all matrices but the embedding in 8 bits; what is not replaced is shared.

    Raises `ConfigError` for a model that is not on a CPU.
    """
    if model.embedding.weight.device.type != "cpu":
        raise ConfigError("weights=int8 is for the CPU", hint="leave it out: on a GPU the weights are used as stored")
    # every parameter stands for itself in the copy
    kept = {id(parameter): parameter for parameter in (*model.parameters(), *model.buffers())}
    found: Transformer = copy.deepcopy(model, kept)
    for module in list(found.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, Int8Linear(child.weight, child.bias))
    return found.eval()


def is_quantized(model: Transformer) -> bool:
    """Tell whether `quantize` made a model."""
    return any(isinstance(module, Int8Linear) for module in model.modules())
