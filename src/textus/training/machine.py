"""What the machine under us has: its device, threads, free memory and measured speed."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from textus.errors import ConfigError
from textus.model.precision import Precision
from textus.training.config import TrainConfig
from textus.training.precision import resolve

Device = Literal["cpu", "cuda", "mps"]
PEAKS = {
    "H100": 786e12,
    "H200": 786e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Floating point operations a second of bf16 and fp16 products, by a word of the device's name.

H100 and H200: measured, 8192 x 8192 x 8192 on random numbers, since what the vendor states (989e12) no product reaches;
the others as their vendor states them, without sparsity.
"""
_CONTROL_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """One device, with what planning needs to know of it."""

    device: Device
    name: str
    threads: int
    memory_bytes: int
    """Memory that is free on the device now."""
    base_bytes: int
    """Memory of the device that this process holds already."""
    precision: Precision
    flops: float
    """Floating point operations a second of a medium matrix product in that precision, measured."""


def look(config: TrainConfig) -> Machine:
    """Choose the device and precision that `config` asks for and measure the device's speed; takes about 0.2 s."""
    device = _device(config.device)
    threads = _cores() if config.threads == "auto" else config.threads
    if device == "cpu":
        torch.set_num_threads(threads)
    precision = resolve(config.precision, device)
    free, held = _memory(device)
    return Machine(device, device_name(device), threads, free, held, precision.name, _flops(device, precision.name))


def peak_flops(name: str, precision: Precision) -> float | None:
    """Return what the device of that name can do in a second in `precision`, or None where that is not known.

    >>> peak_flops("NVIDIA H200", "bf16"), peak_flops("NVIDIA H200", "fp32"), peak_flops("x86_64", "bf16")
    (786000000000000.0, None, None)
    """
    words = name.replace("-", " ").split()
    known = (peak for word, peak in PEAKS.items() if set(word.split()) <= set(words))
    return next(known, None) if precision != "fp32" else None


def device_name(device: Device) -> str:
    """Return what the maker calls the device."""
    return torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()


def room(device: Device) -> int:
    """Return the memory that this process can have on the device: what is free and what it holds already."""
    return sum(_memory(device))


def peak_bytes(device: str) -> int:
    """Return the most memory that this process has held on the device so far."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    import resource  # absent on Windows, where nothing asks for it

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if platform.system() == "Darwin" else kilobytes * 1024


def _cores() -> int:
    """Return the physical cores this process may use, as far as the system tells."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _control_group("cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        usable = min(usable, round(int(quota) / int(period)))
    return max(1, min(usable, torch.get_num_threads()))


def _control_group(name: str) -> str:
    """Return a limit that a container has set on Linux, empty where there is none."""
    try:
        return (_CONTROL_GROUP / name).read_text("ascii").strip()
    except OSError:
        return ""


def _device(wanted: Literal["auto", "cpu", "cuda", "mps"]) -> Device:
    has: dict[Device, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(device for device, there in has.items() if there)
    if not has[wanted]:
        there = ", ".join(device for device, ready in has.items() if ready)
        raise ConfigError(f"training.device={wanted}: this machine has no such device", hint=f"devices here: {there}")
    return wanted


def _memory(device: Device) -> tuple[int, int]:
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free, int(torch.cuda.memory_allocated())
    page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123 - a pseudo-file
            available = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
        with open("/proc/self/statm") as file:  # noqa: PTH123 - a pseudo-file
            held = int(file.read().split()[1]) * page
    except (OSError, StopIteration):
        available, held = os.sysconf("SC_PHYS_PAGES") * page // 2, 0
    limit = _control_group("memory.max")
    return min(available, int(limit) - held) if limit.isdigit() else available, held


def _flops(device: Device, precision: Precision, size: int = 512, repeats: int = 10) -> float:
    if device == "cuda":
        size = 4096
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    left = torch.randn(4 * size, size, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    right = left[:size].clone()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        left @ right
        if device != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * 4 * size**3 / min(times)
