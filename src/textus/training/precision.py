"""The arithmetic of a run: which type the matrix products use, and the loss scale that fp16 needs."""

from __future__ import annotations

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
    """Choose what "auto" means here: bf16 where the device computes in it, else fp16 on a GPU and float32 elsewhere."""
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


def _bf16_pays() -> bool:
    """Tell whether this CPU multiplies bf16 matrices itself, about twice as fast as float32 ones.

    Asked of the CPU and not of a stopwatch: the same command must come to the same weights on a busy day.
    """
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("amx_bf16", "avx512_bf16"))
