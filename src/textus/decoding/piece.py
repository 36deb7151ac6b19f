"""What writing yields: pieces as they come, and completions made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from textus.report import Shown

FinishReason = Literal["stop", "length", "end", "loop", "content_filter"]
"""A stop string or stop token was met; `max_tokens` were written; the model ended the document; it repeated itself; a
guard let the text not pass."""
WITHHELD = -1
"""Stands for a token that is not told of, because its text is not."""
LogprobsMode = Literal["raw", "processed"]
"""Whose log-probabilities: the model's own, or those after all processors."""


class Alternative(NamedTuple):
    """A token that could have stood in a place."""

    token: int
    logprob: float


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One token as it is written. A row's pieces, joined, are its text."""

    text: str
    """What is certain to belong to the text by now: it may lag behind the token and may be empty."""
    token: int
    logprob: float
    """ln p(token), under the model itself or after all processors, as was asked."""
    row: int = 0
    """Which of the `n` texts this belongs to."""
    finish_reason: FinishReason | Literal[""] = ""
    """Why this piece is the row's last; empty while more follows. An `end` piece is END itself, which has no text."""
    why: str = ""
    """The finish reason in words, where one word does not say it all."""
    alternatives: tuple[Alternative, ...] = ()
    """The likeliest tokens in this place, best first, as many as were asked for."""


@dataclasses.dataclass(frozen=True)
class Completion(Shown):
    """One text that a model wrote."""

    text: str
    """Without the prompt, and without the stop string that ended it."""
    tokens: tuple[int, ...]
    """All that were written, those of the stop string included; a closing END is not among them, nor is what a guard
    has redacted."""
    logprobs: tuple[float, ...]
    """ln p of each token."""
    finish_reason: FinishReason
    why: str = ""
    """The finish reason in words, where one word does not say it all."""
    logprobs_mode: LogprobsMode = "raw"
    """Whose log-probabilities these are."""
    alternatives: tuple[tuple[Alternative, ...], ...] = ()
    """For each token the likeliest in its place; empty unless asked for."""

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        values = dataclasses.asdict(self)
        if not self.alternatives:
            del values["alternatives"]
        return values


def collect(pieces: Iterable[Piece], n: int, logprobs_mode: LogprobsMode = "raw") -> list[Completion]:
    """Join the pieces of `n` rows."""
    rows: list[list[Piece]] = [[] for _ in range(n)]
    for piece in pieces:
        rows[piece.row].append(piece)
    return [_completion(row, logprobs_mode) for row in rows]


def _completion(pieces: Sequence[Piece], logprobs_mode: LogprobsMode) -> Completion:
    last = pieces[-1]
    assert last.finish_reason, "the pieces of a row end with its last"
    kept = [piece for piece in (pieces[:-1] if last.finish_reason == "end" else pieces) if piece.token != WITHHELD]
    asked = any(piece.alternatives for piece in kept)
    return Completion(
        "".join(piece.text for piece in pieces),
        tuple(piece.token for piece in kept),
        tuple(piece.logprob for piece in kept),
        last.finish_reason,
        last.why,
        logprobs_mode,
        tuple(piece.alternatives for piece in kept) if asked else (),
    )
