"""Muon: momentum whose singular values are all made one, for matrices that multiply states.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon); the polynomials that make them one are Polar Express's (Amsel et
al. 2025, arXiv 2505.16932), the scale of each row is NorMuon's (Li et al. 2025, arXiv 2510.05491), and weight decay is
cautious: it falls only where the update shrinks the weight too (Chen et al. 2025, arXiv 2510.12402).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

Polynomial = tuple[float, float, float]
"""Of `a x + b x^3 + c x^5`."""
POLAR_EXPRESS: tuple[Polynomial, ...] = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
"""Five steps for singular values from 1e-3 up, with room for the rounding of bfloat16."""
_ROOM = 1.02
"""Singular values above 1 would grow without bound."""
_RMS = 0.2
"""Root mean square of an update of rate 1: that of AdamW's, so that both share one rate (arXiv 2502.16982)."""
_TINY = 1e-7


def orthogonalise(
    matrices: Float[Tensor, "count rows columns"],
    polynomials: Sequence[Polynomial] = POLAR_EXPRESS,
    room: float = _ROOM,
) -> Float[Tensor, "count rows columns"]:
    """Return the nearest matrices whose singular values are about 1, by products alone, in the format of `matrices`.

    >>> orthogonalise(torch.tensor([[[3.0, 0.0], [0.0, -0.1]]])).round()
    tensor([[[ 1.,  0.],
             [ 0., -1.]]])
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    wide = torch.promote_types(x.dtype, torch.float32)
    x = x / (torch.linalg.matrix_norm(x, keepdim=True, dtype=wide) * room + _TINY).to(x.dtype)
    for a, b, c in polynomials:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Spread(Protocol):
    """What makes `update` of matrices whose rows are spread over processes."""

    shapes: Mapping[str, torch.Size]
    """Of the whole matrices, by name."""

    @property
    def update(self) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
        """Do what `update` does, with this process's rows of matrices that have so many `rows`."""
        ...


class Muon(torch.optim.Optimizer):
    """Muon for groups of the role "matrix", AdamW for all others, with one learning rate.

    Tensors of the state belong to one parameter each, as an optimizer of torch keeps them. Where an attribute
    `found_inf` is set to a tensor that holds 1, a step changes nothing, as with the fused optimizers of torch.
    """

    def __init__(
        self,
        groups: Iterable[Mapping[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        momentum: float,
        dtype: torch.dtype,
        variance_beta: float = 0.95,
        compiled: bool = False,
        spread: Spread | None = None,
    ) -> None:
        """Take groups that carry their `role`; products of the matrices run in `dtype`.

        Where parameters are only the rows that this process keeps of a matrix, `spread` makes the updates.
        """
        every: list[dict[str, Any]] = [dict(group) for group in groups]
        matrices = [group for group in every if group["role"] == "matrix"]
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "variance_beta": variance_beta})
        self._dtype = dtype
        self._new = torch.compile(update, fullgraph=True, dynamic=False) if compiled else update
        self._spread = spread
        self._others = torch.optim.AdamW(
            [group for group in every if group["role"] != "matrix"], lr=lr, betas=betas, eps=eps, fused=True
        )
        # one list of groups and one state, for the schedule and for checkpoints
        self._matrices = list(self.param_groups)
        self.param_groups += self._others.param_groups
        self._others.state = self.state

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient."""
        assert closure is None
        refused: Tensor | None = getattr(self, "found_inf", None)
        for group in self._matrices:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for index, parameter in enumerate(group["params"]):
                if parameter.grad is not None:
                    shape = self._spread.shapes[group["names"][index]] if self._spread else parameter.shape
                    alike[shape].append(parameter)
            for shape, members in alike.items():
                self._update(members, shape, group, refused)
        if refused is None:
            return self._others.step()
        self._others.found_inf, self._others.grad_scale = refused, None  # type: ignore[attr-defined]
        try:
            return self._others.step()
        finally:
            del self._others.found_inf, self._others.grad_scale  # type: ignore[attr-defined]

    def _update(self, members: list[Tensor], shape: torch.Size, group: dict[str, Any], refused: Tensor | None) -> None:
        """Update matrices of one `shape` together."""
        for member in members:
            if not self.state[member]:
                self.state[member]["momentum"] = torch.zeros_like(member)
                self.state[member]["variance"] = torch.zeros_like(member[:, :1])
        momenta = [self.state[member]["momentum"] for member in members]
        variances = [self.state[member]["variance"] for member in members]
        gradients = torch.stack([member.grad for member in members if member.grad is not None])
        kept = torch.ones((), device=gradients.device)
        if refused is not None:
            kept = 1.0 - refused
            gradients.masked_fill_(refused.bool(), 0.0)  # what is no number would stay none when multiplied by 0
        make = self._new if self._spread is None else partial(self._spread.update, rows=shape[0])
        found = make(
            torch.stack(members),
            gradients,
            torch.stack(momenta),
            torch.stack(variances),
            rate=group["lr"] * kept,
            decay=group["lr"] * group["weight_decay"] * kept,
            momentum_rate=(1 - group["momentum"]) * kept,
            variance_rate=(1 - group["variance_beta"]) * kept,
            ahead=group["momentum"],
            dtype=self._dtype,
        )
        for held, new in zip((members, momenta, variances), found, strict=True):
            torch._foreach_copy_(held, list(new.unbind()))


Matrices = Float[Tensor, "count rows columns"]


def update(
    weights: Matrices,
    gradients: Matrices,
    momenta: Matrices,
    variances: Float[Tensor, "count rows 1"],
    *,
    rate: Tensor,
    decay: Tensor,
    momentum_rate: Tensor,
    variance_rate: Tensor,
    ahead: float,
    dtype: torch.dtype,
) -> tuple[Matrices, Matrices, Float[Tensor, "count rows 1"]]:
    """Return weights, momenta and variances after a step; with all rates 0 they are what they were.

    With gradient `g`: `m <- m + momentum_rate (g - m)`; `o` has the singular vectors of `g + ahead (m - g)` (Nesterov)
    and singular values of about 1; `v <- v + variance_rate (mean of o^2 over a row - v)`; `rate` times `o / sqrt(v)`,
    brought to a root mean square of 0.2, is taken off the weights.
    """
    momenta = torch.lerp(momenta, gradients, momentum_rate)
    change = orthogonalise(torch.lerp(gradients, momenta, ahead).to(dtype)).float()
    change, variances = evened(change, variances, variance_rate)
    size = change.square().mean((1, 2), keepdim=True).sqrt()
    return moved(weights, change, size, rate, decay), momenta, variances


def evened(
    change: Matrices, variances: Float[Tensor, "count rows 1"], rate: Tensor
) -> tuple[Matrices, Float[Tensor, "count rows 1"]]:
    """Return `change` with its rows brought to one size, and their mean squares with its own let in."""
    variances = torch.lerp(variances, change.square().mean(2, keepdim=True), rate)
    return change * (variances + _TINY**2).rsqrt(), variances


def moved(
    weights: Matrices, change: Matrices, size: Float[Tensor, "count 1 1"], rate: Tensor, decay: Tensor
) -> Matrices:
    """Return the weights after a change, whose root mean square is `size` and becomes 0.2 times `rate`."""
    change = change * (rate * _RMS / (size + _TINY))
    shrinks = (change * weights > 0).to(weights.dtype)
    return weights - (decay * shrinks * weights + change)
