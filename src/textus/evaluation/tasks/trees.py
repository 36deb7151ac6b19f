"""Texts laid end to end so that what they begin with together is read once, and what each of their tokens sees.

Texts that begin alike are a tree: a question is its trunk, the answers to it are its branches. A token sees what stands
on its way from the root, and nothing of other branches or trees, so that it is told what its text alone tells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from textus.evaluation.tasks.asks import Tokens, common

_WIDEST = 2_048
"""Tokens that a tree of several texts may have: what they see of each other is as many squared."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Texts that begin alike, each of their tokens once."""

    tokens: Int[ndarray, " tokens"]
    depths: Int[ndarray, " tokens"]
    """How many tokens stand before each in its text."""
    paths: tuple[Int[ndarray, " _"], ...]
    """Where the tokens of each text are, in its order."""
    texts: tuple[int, ...]
    """The numbers of the texts."""

    @property
    def sees(self) -> Bool[ndarray, "tokens tokens"]:
        """Tell which tokens each sees: itself, and those on its way from the root."""
        found = np.zeros((len(self.tokens), len(self.tokens)), bool)
        for path in self.paths:
            found[path[:, None], path] = np.tri(len(path), dtype=bool)
        return found


def trees(texts: Sequence[Tokens], worth: int) -> list[Tree]:
    """Put texts into trees, so many that nothing more is won; the widest come first.

    A text joins the one that it has most in common with if the tokens that it need not repeat, at `worth` pairs of
    tokens each, outweigh the pairs that would be looked at besides; with a `worth` of 0 each text stands alone.

    >>> [tree.tokens.tolist() for tree in trees([np.array(one) for one in ([5, 6, 7], [5, 6, 8, 9], [4])], worth=9)]
    [[5, 6, 7, 8, 9], [4]]
    """
    # neighbours in the order of a dictionary have most in common
    order = sorted(range(len(texts)), key=lambda number: texts[number].astype(">i8").tobytes())
    found: list[Tree] = []
    growing = _Growing()
    for number in order:
        text = texts[number]
        shared = common(growing.last, text)
        if growing.texts and not growing.has_room(text, shared, worth):
            found.append(growing.tree())
            growing, shared = _Growing(), 0
        growing.add(number, text, shared)
    if growing.texts:
        found.append(growing.tree())
    return sorted(found, key=lambda tree: -len(tree.tokens))


class _Growing:
    """A tree to which texts are added, those after each other that have most in common."""

    def __init__(self) -> None:
        self.last: Tokens = np.zeros(0, np.int64)
        self.texts: list[int] = []
        self._parts: list[Tokens] = []
        self._depths: list[Tokens] = []
        self._paths: list[Tokens] = []
        self._size = 0

    def has_room(self, text: Tokens, shared: int, worth: int) -> bool:
        """Tell whether a text is better read here than alone."""
        together = self._size + len(text) - shared
        more = together**2 - self._size**2 - len(text) ** 2
        return worth > 0 and shared > 0 and together <= _WIDEST and more <= shared * worth

    def add(self, number: int, text: Tokens, shared: int) -> None:
        """Add what a text does not share with the last."""
        new = np.arange(self._size, self._size + len(text) - shared)
        self._paths.append(np.concatenate([self._paths[-1][:shared], new]) if self._paths else new)
        self._parts.append(text[shared:])
        self._depths.append(np.arange(shared, len(text)))
        self._size += len(new)
        self.texts.append(number)
        self.last = text

    def tree(self) -> Tree:
        """Return what has grown."""
        tokens, depths = np.concatenate(self._parts), np.concatenate(self._depths)
        return Tree(tokens, depths, tuple(self._paths), tuple(self.texts))


@dataclass(frozen=True, eq=False)
class Beginning:
    """What every text begins with; it is a memory that reading its tokens fills."""

    tokens: Tokens
    """None where texts have nothing in common."""
    layers: list[tuple[Float[Tensor, "1 kv_heads time head"], Float[Tensor, "1 kv_heads time head"]]]
    """Keys and values of each layer that has been read."""

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "1 heads time head"],
        keys: Float[Tensor, "1 kv_heads time head"],
        values: Float[Tensor, "1 kv_heads time head"],
    ) -> Float[Tensor, "1 heads time head"]:
        """Keep keys and values, and let each token see itself and what stands before it."""
        assert layer == len(self.layers)
        self.layers.append((keys, values))
        return _mixed(query, keys, values, None)


class Forest:
    """Trees that are read together, behind a beginning: a memory that shows each token what it sees."""

    def __init__(self, grown: Sequence[Tree], beginning: Beginning, device: torch.device) -> None:
        self._layers = beginning.layers
        sizes = [len(tree.tokens) for tree in grown]
        self._width = max(sizes)
        ends = np.cumsum(sizes)
        # one row a tree; what fills a row up is the row's own first token, which nobody sees there
        rows = np.repeat((ends - sizes)[:, None], self._width, 1)
        for row, size in zip(rows, sizes, strict=True):
            row[:size] += np.arange(size)
        self.rows: Int[Tensor, "trees width"] = torch.from_numpy(rows).to(device)
        """Where the tokens of each tree are."""
        places = [np.arange(size) + number * self._width for number, size in enumerate(sizes)]
        self.places: Int[Tensor, " tokens"] = torch.from_numpy(np.concatenate(places)).to(device)
        """Where each token is, if rows are laid end to end."""
        before = len(beginning.tokens)
        self.tokens = torch.from_numpy(np.concatenate([tree.tokens for tree in grown])).to(device)
        self.positions = torch.from_numpy(np.concatenate([tree.depths for tree in grown]) + before).to(device)
        self._sees = None if not before and all(len(tree.paths) == 1 for tree in grown) else self._mask(grown, before)

    def _mask(self, grown: Sequence[Tree], before: int) -> Bool[Tensor, "trees 1 width keys"]:
        mask = np.zeros((len(grown), 1, self._width, before + self._width), bool)
        mask[..., :before] = True
        for row, tree in zip(mask[:, 0, :, before:], grown, strict=True):
            size = len(tree.tokens)
            row[:size, :size] = tree.sees
            row[size:, 0] = True  # a softmax over nothing is no number
        return torch.from_numpy(mask).to(self.rows.device)

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "1 heads tokens head"],
        keys: Float[Tensor, "1 kv_heads tokens head"],
        values: Float[Tensor, "1 kv_heads tokens head"],
    ) -> Float[Tensor, "1 heads tokens head"]:
        """Let each token see itself, what stands before it in its text, and the beginning."""
        query, keys, values = (self._by_tree(part) for part in (query, keys, values))
        if self._layers:
            keys, values = (
                torch.cat([first.expand(len(part), -1, -1, -1), part], 2)
                for first, part in zip(self._layers[layer], (keys, values), strict=True)
            )
        mixed = _mixed(query, keys, values, self._sees)
        return mixed.transpose(0, 1).flatten(1, 2).index_select(1, self.places)[None]

    def _by_tree(self, part: Float[Tensor, "1 heads tokens head"]) -> Float[Tensor, "trees heads width head"]:
        flat = part[0].index_select(1, self.rows.flatten())
        return flat.view(len(flat), -1, self._width, flat.shape[-1]).transpose(0, 1)


def _mixed(query: Tensor, keys: Tensor, values: Tensor, sees: Tensor | None) -> Tensor:
    """Average the values that each query sees; without a mask, those of the keys up to its own."""
    if query.shape[1] != keys.shape[1]:  # not every kernel that takes a mask shares keys among queries
        times = query.shape[1] // keys.shape[1]
        keys, values = keys.repeat_interleave(times, 1), values.repeat_interleave(times, 1)
    return functional.scaled_dot_product_attention(query, keys, values, attn_mask=sees, is_causal=sees is None)


def batches(grown: Sequence[Tree], before: int, tokens: int, pairs: int) -> Iterator[list[Tree]]:
    """Yield trees that may be read together: about so many tokens, and so many pairs of a token and what it may see."""
    batch: list[Tree] = []
    size = width = 0
    for tree in grown:
        more, wider = size + len(tree.tokens), max(width, len(tree.tokens))
        if batch and (more > tokens or (len(batch) + 1) * wider * (before + wider) > pairs):
            yield batch
            batch, more, wider = [], len(tree.tokens), len(tree.tokens)
        batch.append(tree)
        size, width = more, wider
    if batch:
        yield batch
