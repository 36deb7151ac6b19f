"""Which pieces of a text are the same, for many texts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, mixed


@dataclass(frozen=True)
class Groups:
    """Equal pieces of one text, together; the order of the groups means nothing."""

    order: Index
    """The pieces, those of a group next to each other."""
    starts: Index
    """Where in `order` each group starts."""
    counts: Index
    """How many pieces each has."""

    @property
    def first(self) -> Index:
        """Return one piece of each group."""
        return self.order[self.starts]

    def in_group(self, of_groups: NDArray[Any]) -> NDArray[Any]:
        """Repeat a value of each group for each of its pieces, in the order of `order`."""
        return np.repeat(of_groups, self.counts)


def groups(hashes: Hashes, owners: Index) -> Groups:
    """Bring together the pieces that have one hash and one owner."""
    # The owner goes into the key: one sort of 64 bits instead of one of pairs.
    keys = hashes ^ mixed(owners.astype(np.uint64))
    order = np.argsort(keys)
    keys = keys[order]
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(new)
    return Groups(order, starts, np.diff(starts, append=len(keys)))
