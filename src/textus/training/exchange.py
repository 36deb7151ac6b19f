"""Muon where each process keeps some rows of every matrix: all rows of a matrix meet in one process and part again.

Everything that looks at one element, or at one row, is done where the row is kept. Only the product of all rows is not:
each process makes it for its share of the matrices.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from textus.training.muon import evened, moved, orthogonalise
from textus.training.rows import bounds


class Exchange:
    """Makes Muon's updates of matrices whose rows are spread over all processes."""

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        self.shapes = shapes
        self._rank, self._world = dist.get_rank(), dist.get_world_size()

    def update(
        self,
        weights: Tensor,
        gradients: Tensor,
        momenta: Tensor,
        variances: Tensor,
        *,
        rows: int,
        rate: Tensor,
        decay: Tensor,
        momentum_rate: Tensor,
        variance_rate: Tensor,
        ahead: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do what `muon.update` does, with this process's rows of matrices that have `rows` rows."""
        momenta = torch.lerp(momenta, gradients, momentum_rate)
        wanted = torch.lerp(gradients, momenta, ahead).to(dtype)
        change = self.part(orthogonalise(self.meet(wanted, rows)), len(wanted), rows).float()
        change, variances = evened(change, variances, variance_rate)
        squares = change.square().sum((1, 2), keepdim=True)
        dist.all_reduce(squares)
        size = (squares / (rows * change.shape[2])).sqrt()
        return moved(weights, change, size, rate, decay), momenta, variances

    def meet(self, mine: Float[Tensor, "count own_rows columns"], rows: int) -> Float[Tensor, "share rows columns"]:
        """Return the matrices whose turn is this process's, whole; the matrix `i` is the process `i % world`'s."""
        count, _, columns = mine.shape
        share = len(range(self._rank, count, self._world))
        sent = [mine[rank :: self._world].reshape(-1) for rank in range(self._world)]
        heights = [end - begin for begin, end in (bounds(rows, rank, self._world) for rank in range(self._world))]
        got = self._swap(torch.cat(sent), [len(part) for part in sent], [share * high * columns for high in heights])
        return torch.cat([part.view(share, high, columns) for part, high in zip(got, heights, strict=True)], 1)

    def part(
        self, matrices: Float[Tensor, "share rows columns"], count: int, rows: int
    ) -> Float[Tensor, "count own_rows columns"]:
        """Return this process's rows of all `count` matrices, each of which was whole in one process."""
        columns = matrices.shape[2]
        begin, end = bounds(rows, self._rank, self._world)
        sent = [matrices[:, slice(*bounds(rows, rank, self._world))].reshape(-1) for rank in range(self._world)]
        shares = [len(range(rank, count, self._world)) for rank in range(self._world)]
        got = self._swap(
            torch.cat(sent), [len(part) for part in sent], [share * (end - begin) * columns for share in shares]
        )
        mine = torch.empty(count, end - begin, columns, dtype=matrices.dtype, device=matrices.device)
        for rank, (values, share) in enumerate(zip(got, shares, strict=True)):
            mine[rank :: self._world] = values.view(share, end - begin, columns)
        return mine

    @staticmethod
    def _swap(values: Tensor, sent: list[int], got: list[int]) -> list[Tensor]:
        """Send a piece of `values` to each process, and return the piece that each has sent here."""
        found = values.new_empty(sum(got))
        dist.all_to_all_single(found, values.contiguous(), got, sent)
        pieces: list[Tensor] = list(torch.split(found, got))
        return pieces
