"""Which rows of a matrix a process keeps, where several keep it together: FSDP2's rule."""

from __future__ import annotations


def bounds(rows: int, rank: int, world: int) -> tuple[int, int]:
    """Return where the rows of a process begin and end: as many in each, but for the last ones.

    >>> [bounds(5, rank, 4) for rank in range(4)]
    [(0, 2), (2, 4), (4, 5), (5, 5)]
    """
    each = -(-rows // world)
    return min(rank * each, rows), min((rank + 1) * each, rows)
