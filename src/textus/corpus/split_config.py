"""What the split can be told beside its shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textus.config import Settings
from textus.errors import ConfigError


@dataclass(frozen=True)
class SplitConfig(Settings):
    """Say what decides which documents are held out."""

    how: Literal["content", "group", "time"] = "content"
    """Hold out documents by the hash of their content, whole groups of them (all of one author), or the newest."""
    field: str = ""
    """The key beside the text that holds the group or the time: "author", "published"; "source": the file."""
    missing: Literal["stop", "train"] = "stop"
    """What to do with documents without that field: stop and name one, or train on them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.how == "content") != (not self.field):
            raise ConfigError(
                f'SplitConfig: `field` must name a key when `how` is "group" or "time", and only then; '
                f"got how={self.how!r}, field={self.field!r}",
                hint="for example how=time field=published, where each record has a date under `published`",
            )
