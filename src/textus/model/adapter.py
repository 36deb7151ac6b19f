"""Adapters of low rank: a matrix that stays as it is, and beside it a thin pair that learns (LoRA, arXiv 2106.09685).

`y = W x + alpha / rank * up(down(x))`. A matrix may carry several pairs by name, of which one is heard, or none.

With a magnitude `m` (DoRA, Liu et al. 2024, arXiv 2402.09353) the length of each row of the sum is learnt by itself:
`y = m / |V| V x` with `V = W + alpha / rank * up down`, row by row; the length `|V|` has no gradient (there, 4.3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from textus.model import beside
from textus.model.layers import Linear, Scale
from textus.model.precision import compute_dtype

Targets = Literal["all", "attention", "feed_forward"]
MATRICES = {
    "attention": ("attention.query", "attention.key", "attention.value", "attention.output"),
    "feed_forward": ("feed_forward.gate", "feed_forward.up", "feed_forward.down"),
}
"""The matrices of a block by what they serve."""
INSIDE = ".adapters."
"""Stands in the names of parameters that are an adapter's."""


class Pair(nn.Module):
    """Narrow to `rank` numbers and widen again; at first it adds nothing."""

    def __init__(
        self, inputs: int, outputs: int, rank: int, alpha: float, dropout: float, *, dora: bool = False
    ) -> None:
        super().__init__()
        self.down = Linear(inputs, rank)
        self.up = Linear(rank, outputs)
        self.scale = alpha / rank
        self.dropout = dropout
        self.magnitude = Scale(outputs) if dora else None

    @torch.no_grad()
    def begin(self, generator: torch.Generator, weight: Float[Tensor, "outputs inputs"] | None = None) -> None:
        """Draw `down` as PEFT does, even within `1 / sqrt(inputs)`, and let `up` be zero.

        A magnitude begins as the lengths of the rows of `weight`, the matrix beside which the pair will stand.
        """
        bound = 1 / math.sqrt(self.down.in_features)
        self.down.weight.copy_(torch.empty(self.down.weight.shape).uniform_(-bound, bound, generator=generator))
        self.up.weight.zero_()
        if self.magnitude is not None:
            assert weight is not None, "a magnitude begins as that of a matrix"
            self.magnitude.weight.copy_(weight.float().norm(dim=1))

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Return what is added to the matrix's product."""
        if self.dropout:
            x = functional.dropout(x, self.dropout, self.training)
        added: Tensor = self.up(self.down(x)) * self.scale
        return added

    def product(self) -> Float[Tensor, "outputs inputs"]:
        """Return the matrix that it stands for, in float32."""
        return self.up.weight.float() @ self.down.weight.float() * self.scale

    def sum(self, weight: Float[Tensor, "outputs inputs"]) -> Float[Tensor, "outputs inputs"]:
        """Return what becomes of a matrix that takes the pair up, in float32."""
        whole: Tensor = weight.float() + self.product()
        if self.magnitude is not None:
            whole = whole * self.stretch(weight).unsqueeze(1)
        return whole

    def stretch(self, weight: Float[Tensor, "outputs inputs"]) -> Float[Tensor, " outputs"]:
        """Return by what each row of the sum is multiplied to have the length that was learnt."""
        assert self.magnitude is not None
        lengths: Tensor = (weight.float() + self.product()).norm(dim=1).detach()
        found: Tensor = self.magnitude.weight.float() / lengths
        return found


class AdaptedLinear(Linear):
    """A matrix with adapters beside it; it shares the weight of the one whose place it takes."""

    def __init__(self, plain: Linear) -> None:
        with torch.device("meta"):
            super().__init__(plain.in_features, plain.out_features)
        self.weight, self.bias = plain.weight, plain.bias
        self.adapters = nn.ModuleDict()
        self.heard = ""
        """The adapter that is heard; empty: none."""

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Return the product, and what the adapter adds."""
        if not self.heard:
            return functional.linear(x, self.weight, self.bias)
        if self._learns_lean():
            lean = self.together(x, (self,))
            return lean if self.bias is None else lean + self.bias.to(lean.dtype)
        pair = self._pair()
        if pair.magnitude is None:
            added: Tensor = functional.linear(x, self.weight, self.bias) + pair(x)
            return added
        product: Tensor = functional.linear(x, self.weight)
        stretch, dropped = pair.stretch(self.weight).to(product.dtype), product
        if pair.dropout and self.training:  # as PEFT has it, the product itself is of all of `x`
            x = functional.dropout(x, pair.dropout)
            dropped = functional.linear(x, self.weight)
        product = product + (stretch - 1) * dropped + stretch * pair.scale * pair.up(pair.down(x))
        return product if self.bias is None else product + self.bias.to(product.dtype)

    def _pair(self) -> Pair:
        pair = self.adapters[self.heard]
        assert isinstance(pair, Pair)
        return pair

    def _learns_lean(self) -> bool:
        """Tell whether the pair learns, and can be added to the matrix for it."""
        if not (self.heard and self.training and torch.is_grad_enabled()) or self.weight.requires_grad:
            return False
        pair = self._pair()
        return pair.magnitude is None and not pair.dropout

    @staticmethod
    def together(x: Float[Tensor, "*rows inputs"], matrices: Sequence[AdaptedLinear]) -> Tensor:
        """Return the products of `x` with several matrices that have no bias, side by side."""
        if not all(matrix._learns_lean() for matrix in matrices):
            return torch.cat([matrix(x) for matrix in matrices], -1)
        pairs = [matrix._pair() for matrix in matrices]
        return beside.product(
            x.to(compute_dtype(x)),
            tuple(matrix.weight for matrix in matrices),
            tuple(pair.down.weight for pair in pairs),
            tuple(pair.up.weight for pair in pairs),
            tuple(pair.scale for pair in pairs),
        )


def matrices(model: nn.Module, targets: Targets) -> Iterator[tuple[nn.Module, str, str, Linear]]:
    """Yield the matrices of every block that serve `targets`: owner, name in it, whole name, and the matrix."""
    kinds = MATRICES if targets == "all" else {targets: MATRICES[targets]}
    endings = tuple(f".{ending}" for names in kinds.values() for ending in names)
    for name, module in list(model.named_modules()):
        if name.endswith(endings) and isinstance(module, Linear):
            owner, _, last = name.rpartition(".")
            yield model.get_submodule(owner), last, name, module


def adapted(model: nn.Module) -> dict[str, AdaptedLinear]:
    """Return the matrices of a model that have adapters, by their names."""
    return {name: module for name, module in model.named_modules() if isinstance(module, AdaptedLinear)}


def hear(model: nn.Module, name: str) -> None:
    """Let a model hear the adapter of this name, and no other; empty: none."""
    for module in adapted(model).values():
        module.heard = name if name in module.adapters else ""
    held = _rows_of(model)
    for row in [*reversed(held.get("", [])), *(held.get(name, []) if name else [])]:
        row.put(model)


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Rows of a table (the embedding, or the head) that are of an adapter and not of its base."""

    table: str
    """The name of the parameter."""
    tokens: list[int]
    rows: Float[Tensor, "tokens hidden"]

    @torch.no_grad()
    def put(self, model: nn.Module) -> None:
        """Write them into the table."""
        table = model.get_parameter(self.table)
        table[self.tokens] = self.rows.to(table)


def add_rows(model: nn.Module, name: str, rows: TokenRows) -> None:
    """Give an adapter rows of its own; those of the base come back when it is not heard."""
    held = _rows_of(model)
    hear(model, "")
    before = model.get_parameter(rows.table)[rows.tokens].detach().clone()
    held.setdefault("", []).append(TokenRows(rows.table, rows.tokens, before))
    held.setdefault(name, []).append(rows)


def _rows_of(model: nn.Module) -> dict[str, list[TokenRows]]:
    """Return the rows by adapter, those of the base under the empty name."""
    found: dict[str, list[TokenRows]] = model.__dict__.setdefault("token_rows", {})
    return found
