"""The draws of one pass: of all texts that are written by one strategy at once, each with its own random numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.decoding.engine.request import Request
from textus.decoding.history import NO_TOKEN, History
from textus.decoding.sampler import Places
from textus.decoding.step import Drawn, Telling, draw
from textus.decoding.strategy import Strategy


@dataclasses.dataclass(eq=False)
class Voice:
    """Say how one text is written: by what steps, with which random numbers, and what is told about its tokens."""

    request: Request
    strategy: Strategy
    telling: Telling
    seed: int
    row: int
    _said: npt.NDArray[np.int64] = dataclasses.field(init=False)
    _known: int = 0
    knobs: npt.NDArray[np.int32] | None = None
    """How a GPU draws for it inside a burst, if it can."""
    each: int = 1
    """So many lines it has on a GPU's board: behind its last token as many guesses as there is room for."""
    rest: int = 0
    """For so many bursts nothing is guessed, since guesses were wrong."""
    turn: int = 0
    """Goes up when what is under way for it no longer counts."""

    def __post_init__(self) -> None:
        self._said = np.empty(2 * len(self.request.tokens) + 64, dtype=np.int64)

    @property
    def said(self) -> npt.NDArray[np.int64]:
        """The text so far as the host knows it, without the END before it, which nobody wrote."""
        tokens = self.request.tokens
        if len(tokens) > len(self._said):
            self._said = np.concatenate([self._said, np.empty_like(self._said)])
        self._said[self._known : len(tokens)] = tokens[self._known :]
        self._known = len(tokens)
        return self._said[1 : len(tokens)]


def groups(voices: Sequence[Voice]) -> list[list[int]]:
    """Return the places of the texts that can be drawn together."""
    found: dict[tuple[int, Telling], list[int]] = {}
    for place, voice in enumerate(voices):
        found.setdefault((id(voice.strategy), voice.telling), []).append(place)
    return list(found.values())


def draw_together(
    voices: Sequence[Voice],
    logits: Float[Tensor, "batch vocab"],
    newest: Int[Tensor, " drawn"] | None,
    sources: dict[int, int],
) -> Drawn:
    """Draw the next token of each text; all have the strategy of the first."""
    first, device = voices[0], logits.device
    places = Places.each([(voice.seed, voice.row, voice.request.written) for voice in voices], device)
    history = _history(voices, newest, sources, device) if first.strategy.looks_back else _none(voices, device)
    return draw(first.strategy, logits, history, places, first.telling)


def _none(voices: Sequence[Voice], device: torch.device) -> History:
    written = torch.tensor([voice.request.written for voice in voices], device=device)
    return History(torch.empty(len(voices), 0, dtype=torch.int64, device=device), written)


def _history(
    voices: Sequence[Voice], newest: Int[Tensor, " drawn"] | None, sources: dict[int, int], device: torch.device
) -> History:
    """Lay the texts so far on each other so that they end together; what only the device knows is put in there."""
    said = [voice.said for voice in voices]
    time = max(len(one) + voice.request.unknown for one, voice in zip(said, voices, strict=True))
    tokens = np.full((len(voices), time), NO_TOKEN, dtype=np.int64)
    unknown = []
    for row, (one, voice) in enumerate(zip(said, voices, strict=True)):
        end = time - voice.request.unknown
        tokens[row, end - len(one) : end] = one
        if voice.request.unknown:
            unknown.append((row, sources[voice.request.number]))
    laid = torch.from_numpy(tokens).to(device)
    if unknown and newest is not None:
        rows, found = torch.tensor(unknown, device=device).unbind(1)
        laid[rows, -1] = newest[found]
    written = torch.tensor([voice.request.written for voice in voices], device=device)
    return History(laid, written)
