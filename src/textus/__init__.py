"""Textus: from raw text to a language model that you can measure, adapt, guard and serve."""

from textus.version import __version__

__all__ = ["__version__"]
