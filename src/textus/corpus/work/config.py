"""What can be said of how the work is carried, none of which changes its result but `task_mb`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textus.config import AUTO, Count, Natural, Positive, Settings
from textus.errors import ConfigError


@dataclass(frozen=True)
class WorkConfig(Settings):
    """Say who does the work on a corpus, and in what pieces."""

    workers: Count | AUTO = "auto"
    """Processes at work at a time; "auto": one for each core, and no more than there are pieces."""
    carrier: Literal["processes", "ray"] = "processes"
    """Who carries the pieces: processes of this machine, or a Ray cluster that shares its disk (extra `ray`)."""
    rank: Natural = 0
    """Which of `world` equal commands this is, where several machines share a disk and each runs the same command."""
    world: Count = 1
    """How many such commands there are; each does its share of the pieces and waits for the others'. What they make
    beside the corpus is kept, whatever `keep` says."""
    task_mb: Positive = 16.0
    """Megabytes of input in one piece; doubled until there are at most 4096 pieces. Decides how files are cut."""
    memory_mb: Positive = 1024.0
    """Megabytes that sorting may take in one process; more pieces where the keys of a corpus are larger."""
    keep: bool = True
    """Keep what was read, cleaned and measured beside the corpus, so that other thresholds need not read it again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank >= self.world:
            raise ConfigError(
                f"WorkConfig: `rank` must be below `world`; got rank {self.rank} of {self.world}",
                hint="ranks are numbered from 0: with world=4 they are 0, 1, 2 and 3",
            )
