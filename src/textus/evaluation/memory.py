"""The most memory that a piece of work takes, where the system tells."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)


class Peak:
    """Watch a piece of work: `with Peak(device) as peak: ...`, then `peak.bytes`.

    On a GPU it is what torch has given out; elsewhere what the whole process holds, which Linux alone tells anew.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._is_reset = device, False
        self.bytes = 0
        """The most at any time; 0 where it is not known."""

    def __enter__(self) -> Peak:
        """Begin anew."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return self
        with suppress(OSError):
            _RESET.write_text("5")
            self._is_reset = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Read the most."""
        if self._device.type == "cuda":
            self.bytes = int(torch.cuda.max_memory_allocated(self._device))
        elif self._is_reset:
            with suppress(OSError):
                found = _PEAK.search(_STATUS.read_text("ascii", "replace"))
                self.bytes = int(found[1]) * 1024 if found else 0

    @staticmethod
    def words(device: torch.device) -> str:
        """Say what the figure is of."""
        if device.type == "cuda":
            return "peak memory is what torch held on the device, the weights included"
        return "peak memory is that of the whole process, which holds more than the passes"
