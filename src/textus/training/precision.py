"""The arithmetic of a run: which type the matrix products use, and the loss scale that fp16 needs."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from textus.errors import ConfigError
from textus.model import precision as arithmetic
from textus.model.precision import Precision as Name


@dataclass(frozen=True)
class Precision:
    """A choice of arithmetic for one device. Weights, gradients and the optimizer stay float32 under all of them."""

    name: Name
    device: str

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which to run the model."""
        return arithmetic.autocast(self.device, self.name)

    def scaler(self) -> torch.amp.GradScaler:
        """Return the loss scaler: working for fp16, passing everything through otherwise (Micikevicius 2018)."""
        return torch.amp.GradScaler(self.device, enabled=self.name == "fp16")


def resolve(name: Literal["auto", "fp32", "bf16", "fp16"], device: str) -> Precision:
    """Choose what "auto" means here: bf16 where the device is faster in it, measured by a product on a CPU."""
    if name != "auto":
        if name == "bf16" and device == "cuda" and not _has_bf16():
            raise ConfigError("training.precision=bf16: this GPU has no bf16 arithmetic", hint="use fp16 or fp32")
        return Precision(name, device)
    if device == "cuda":
        return Precision("bf16" if _has_bf16() else "fp16", device)
    return Precision("bf16" if device == "cpu" and _bf16_pays() else "fp32", device)


def _has_bf16() -> bool:
    """Tell whether the GPU computes in bf16 itself: emulated, it is slower than float32."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _bf16_pays(size: int = 384, repeats: int = 8) -> bool:
    """Tell whether a bf16 matrix product, conversions included, beats float32 clearly on this CPU."""

    def fastest(dtype: torch.dtype) -> float:
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randn(rows, size, generator=generator) for rows in (4 * size, size))
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            (left.to(dtype) @ right.to(dtype)).float()
            times.append(time.perf_counter() - start)
        return min(times)

    return fastest(torch.bfloat16) < 0.8 * fastest(torch.float32)
