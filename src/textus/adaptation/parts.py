"""Which examples are learnt from, which choose, and which measure: by their content, so that none stands twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from textus import fingerprint
from textus.adaptation.config import SplitConfig
from textus.errors import CorpusError


class Keyed(Protocol):
    """An example that knows what it is by."""

    @property
    def key(self) -> str:
        """Return what makes it the same as another: its text, and not its answer."""
        ...


E = TypeVar("E", bound=Keyed)


@dataclass(frozen=True)
class Parts(Generic[E]):
    """Examples on three sides; no text stands on two."""

    train: tuple[E, ...]
    choice: tuple[E, ...]
    """Learning rate and epoch are chosen on these."""
    test: tuple[E, ...]
    leaked: int = 0
    """Training examples that were left out because the user's test examples have the same text."""

    @property
    def sizes(self) -> dict[str, int]:
        """Count each side."""
        return {"train": len(self.train), "choice": len(self.choice), "test": len(self.test), "left_out": self.leaked}


def divided(data: Sequence[E], test: Sequence[E], config: SplitConfig) -> Parts[E]:
    """Cut a part for choosing from the data, and one for measuring where `test` is empty.

    What is cut off depends on texts and the seed alone, not on their order.
    """
    left, leaked = list(data), 0
    if test:
        known = {one.key for one in test}
        left = [one for one in data if one.key not in known]
        leaked = len(data) - len(left)
        measured = list(test)
    else:
        measured, left = cut(left, config.test_fraction, f"test {config.split_seed}")
    choosing, left = cut(left, config.choice_fraction, f"choice {config.split_seed}")
    for name, part in (("learn from", left), ("choose by", choosing), ("measure on", measured)):
        if not part:
            raise CorpusError(
                f"{len(data)} examples are too few: none is left to {name}",
                hint="give more examples, or set data.choice_fraction and data.test_fraction",
            )
    return Parts(tuple(left), tuple(choosing), tuple(measured), leaked)


def cut(examples: list[E], fraction: float, salt: str) -> tuple[list[E], list[E]]:
    """Return a share of the examples, those whose keys come first by their hashes, and the others."""
    keys = sorted({one.key for one in examples}, key=lambda key: fingerprint.of_parts([salt, key]))
    chosen = set(keys[: max(1, round(fraction * len(keys)))])
    return [one for one in examples if one.key in chosen], [one for one in examples if one.key not in chosen]
