"""Matrices of 8 bits for writing on a CPU: a quarter of the memory to be read for each token, which it waits for.

Each row of a matrix is rounded to 255 steps of its own, once; each token's state to 128 steps between its least and its
greatest number, anew each time (LLM.int8, arXiv 2208.07339, section 2.1, has both). Sums of such products are whole
numbers, so they are exact, and no text has to be seen to choose the steps.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textus.errors import ConfigError
from textus.model.layers import Linear
from textus.model.transformer import Transformer

KERNELS = ("x86", "fbgemm", "onednn")
"""What torch may call the products that are used here; other processors have others."""

STEPS = 127
"""Products of pairs of counts up to this and weights fit 16 bits, in which processors without AVX-512 add them."""
LEAST_STEP = 6.1e-5
"""Smaller steps are not used by the kernel."""
JOINED = {"query_key_value": ("query", "key", "value"), "gate_up": ("gate", "up")}
"""What products of the same states are called together."""


class Int8Linear(nn.Module):
    """Multiply by a matrix whose rows are whole numbers from -127 to 127, each times a scale."""

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Tensor | None = None) -> None:
        super().__init__()
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=1e-12) / 127
        steps = (weight / scale[:, None]).round_().to(torch.int8)
        zeros = torch.zeros(len(scale), dtype=torch.int64)
        with warnings.catch_warnings():
            # torch announces that these tensors will go; it has no other product of 8 bits that is fast without AVX-512
            warnings.simplefilter("ignore", UserWarning)
            quantized = torch._make_per_channel_quantized_tensor(steps, scale.double(), zeros, 0)
            self._packed = torch.ops.quantized.linear_prepack(quantized, None)
        self.register_buffer("sums", steps.sum(1, dtype=torch.int64) * scale)
        self._multiply: Callable[[Tensor, object, bool], Tensor] = torch.ops.quantized.linear_dynamic.default
        self._is_shifted = bias is not None
        self.register_buffer("bias", bias)

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Return the products."""
        found = self.product(x.flatten(0, -2).float())
        return found.view(*x.shape[:-1], found.shape[1])

    def product(self, rows: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows outputs"]:
        """Return the products of rows in float32."""
        found = self._multiply(rows, self._packed, True) if len(rows) == 1 else self._many(rows)
        if self._is_shifted:
            found += self.get_buffer("bias")
        return found

    def _many(self, rows: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows outputs"]:
        """Return what the kernel returns for each row by itself: for several it would take the same steps for all."""
        least, greatest = rows.double().aminmax(dim=-1, keepdim=True)
        least, greatest = least.clamp_(max=0), greatest.clamp_(min=0)
        step = (greatest - least) / STEPS
        step[step < LEAST_STEP] = LEAST_STEP
        # 0 is one of the steps, which is where the kernel begins to count: on the side where less is lost
        zero = torch.where(-least < STEPS * step + greatest, -least / step, STEPS - greatest / step).round_().float()
        narrow = step.float()
        counted = (rows * narrow.reciprocal()).round_().add_(zero).clamp_(0, STEPS)
        # a row that holds the greatest count, so that the kernel's step is 1 and counts stay as they are
        counted = torch.cat([counted, torch.full_like(counted[:1], STEPS)])
        found = self._multiply(counted, self._packed, True)[:-1]
        return found.addcmul_(zero, self.get_buffer("sums"), value=-1).mul_(narrow)

    def __deepcopy__(self, memo: object) -> Int8Linear:
        return self  # nothing in it ever changes


def quantize(model: Transformer) -> Transformer:
    """Return the same model with all matrices but the embedding in 8 bits; what is not replaced is shared.

    Raises `ConfigError` where there are no products for it: on a GPU, and on processors that are not x86.
    """
    if model.embedding.weight.device.type != "cpu" or torch.backends.quantized.engine not in KERNELS:
        raise ConfigError(
            "weights of 8 bits are for x86 processors",
            hint="leave weights=int8 out: weights are used as they are stored",
        )
    # every parameter stands for itself in the copy
    found: Transformer = copy.deepcopy(
        model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    )
    for module in list(found.modules()):
        for name, parts in JOINED.items():
            children = dict(module.named_children())
            matrices = [child for part in parts if isinstance(child := children.get(part), Linear)]
            if len(matrices) == len(parts) and all(matrix.bias is None for matrix in matrices):
                # for whoever needs all of them at once; `Lean` does
                setattr(module, name, Int8Linear(torch.cat([matrix.weight for matrix in matrices])))
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                setattr(module, name, Int8Linear(child.weight, child.bias))
    return found.eval()


def is_quantized(model: Transformer) -> bool:
    """Tell whether `quantize` made a model."""
    return isinstance(model.head, Int8Linear)
