"""In which number format a pass computes; weights stay as they are."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16", "fp16"]
"""fp32 computes as the weights are stored; the others run matrix products in half the width."""
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device | str, precision: Precision) -> AbstractContextManager[None]:
    """Return the context in which a pass computes in `precision` on `device`."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=_TYPES.get(precision), enabled=precision in _TYPES)


def compute_dtype(x: Tensor) -> torch.dtype:
    """Return the format in which a matrix product on `x` would compute here."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
