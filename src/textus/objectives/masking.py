"""Which tokens are hidden, and what stands in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from textus.dataset.window import PADDING, Window
from textus.objectives.chance import draws
from textus.objectives.vocabulary import Vocabulary

Unit = Literal["token", "word", "span"]
_PLACE, _LENGTH, _ACTION, _TOKEN = range(4)
"""Streams of chance: which are hidden, how long spans are, what is done to a unit, which token takes a place."""


@dataclass(frozen=True, eq=False)
class Units:
    """What is hidden together."""

    may: Bool[ndarray, "batch time"]
    """Which tokens may be asked at all."""
    first: Int[ndarray, "batch time"]
    """The position of the first token of each token's unit."""


def askable(window: Window, vocabulary: Vocabulary) -> Bool[ndarray, "batch time"]:
    """Tell which tokens of a window may be hidden and asked: no special token, and none that the window excludes."""
    tokens, documents = window.tokens.numpy(), window.documents.numpy()
    may: npt.NDArray[np.bool_] = window.predict.numpy() & ~vocabulary.is_special[tokens] & (documents != PADDING)
    return may


def units(
    window: Window,
    vocabulary: Vocabulary,
    kind: Unit,
    longest: int,
    seed: int,
    epochs: Int[ndarray, "batch 1"],
    places: Int[ndarray, "batch time"],
) -> Units:
    """Cut rows into units, which never leave a document, and never hold a token that may not be asked."""
    may = askable(window, vocabulary)
    rows, time = may.shape
    if kind == "token":
        begins = np.ones((rows, time), np.bool_)
    elif kind == "word":
        begins = np.stack([vocabulary.word_starts(row) for row in window.tokens.numpy()])
    else:
        lengths = 1 + (draws(seed, _LENGTH, epochs, places) * longest).astype(np.int64)
        ends = np.cumsum(lengths, axis=1)
        begins = np.zeros((rows, time), np.bool_)
        begins[:, 0] = True
        row, slot = np.nonzero(ends < time)
        begins[row, ends[row, slot]] = True
    documents = window.documents.numpy()
    begins[:, 1:] |= (documents[:, 1:] != documents[:, :-1]) | ~may[:, :-1]
    begins[:, 0] = True
    first = np.maximum.accumulate(np.where(begins, np.arange(time), 0), axis=1)
    return Units(may, first)


def choose(
    keys: Float[ndarray, "batch time"], found: Units, counts: Int[ndarray, " batch"]
) -> tuple[Bool[ndarray, "batch time"], Bool[ndarray, "batch time"]]:
    """Return which tokens are asked, `counts` in each row where it has as many, and which are hidden with them.

    Units are taken in the order of their first tokens' keys. The last one is hidden whole, and asked as far as the
    count allows.
    """
    keys = np.take_along_axis(keys, found.first, 1)
    keys = np.where(found.may, keys, np.inf)
    order = np.argsort(keys, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(keys.shape[1])[None], 1)
    asked = (rank < counts[:, None]) & found.may
    return asked, np.take_along_axis(asked, found.first, 1) & found.may


def replaced(
    window: Window,
    hidden: Bool[ndarray, "batch time"],
    found: Units,
    vocabulary: Vocabulary,
    shares: tuple[float, float],
    seed: int,
    epochs: Int[ndarray, "batch 1"],
    places: Int[ndarray, "batch time"],
) -> Int[ndarray, "batch time"]:
    """Return the tokens with `<mask>` or others in place of hidden ones, one decision for each unit.

    `shares` are those of `<mask>` and of tokens drawn evenly from the ordinary ones; the rest stays as it is.
    """
    action = np.take_along_axis(draws(seed, _ACTION, epochs, places), found.first, 1)
    drawn = (draws(seed, _TOKEN, epochs, places) * len(vocabulary.ordinary)).astype(np.int64)
    tokens = window.tokens.numpy()
    masked, other = shares
    with_others: npt.NDArray[np.int64] = np.where(
        hidden & (action >= masked) & (action < masked + other), vocabulary.ordinary[drawn], tokens
    )
    return np.where(hidden & (action < masked), vocabulary.mask, with_others)


def due(
    seed: int, covered: Float[ndarray, "batch 1"], places: Int[ndarray, "batch time"]
) -> Float[ndarray, "batch time"]:
    """Return how far off each token's turn is, where `covered` is how often all were asked so far.

    In each round of asking all tokens once, a token's turn is drawn anew from [0, 1); those whose turn has just come
    are at 0, those whose turn of this round is over wait for that of the next.
    """
    rounds = np.floor(covered)
    into = covered - rounds
    turn = draws(seed, _PLACE, rounds.astype(np.int64), places)
    following = draws(seed, _PLACE, rounds.astype(np.int64) + 1, places)
    off: npt.NDArray[np.float64] = np.where(turn >= into, turn - into, 1 - into + following)
    return off
