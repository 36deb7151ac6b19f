"""Libraries that only some formats need."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from textus.errors import ConfigError


def needed(extra: str, modules: Sequence[str] = ()) -> Any:
    """Import what a format needs and return the first; raise `ConfigError` with the line that installs it.

    `modules` are those of the extra, where they are not one of its name.
    """
    try:
        first, *_ = [importlib.import_module(module) for module in modules or (extra,)]
        return first
    except ImportError as error:
        raise ConfigError(
            f"writing this format needs the library {error.name or extra}, which is not installed",
            hint=f"pip install 'textus[{extra}]'",
        ) from None
