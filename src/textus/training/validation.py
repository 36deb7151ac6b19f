"""Which windows a run is measured on while it learns."""

from __future__ import annotations

from collections.abc import Iterator

from textus.dataset.rows import Rows
from textus.dataset.window import Window
from textus.training.recipe import Recipe


def evenly_spaced(validation: Rows, recipe: Recipe, context: int) -> Iterator[Window]:
    """Yield windows from all over the validation text, the same ones each time, some rows at once."""
    count = min(validation.per_epoch, max(1, recipe.evaluate_tokens // context))
    numbers = [index * validation.per_epoch // count for index in range(count)]
    rows = recipe.micro_rows(context)
    return (validation.rows(numbers[start : start + rows]) for start in range(0, count, rows))
