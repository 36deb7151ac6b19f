"""One row's way from tokens to text: whole characters only, nothing of a stop string, and an end with a reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal

from textus.decoding.loops import LoopDetector
from textus.decoding.piece import Alternative, FinishReason, Piece
from textus.decoding.stop import StopFilter
from textus.tokenizer.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Ending:
    """Say when a text ends, besides where the model ends it."""

    max_tokens: int
    """After this many tokens."""
    stop: Sequence[str] = ()
    """Before any of these strings."""
    stop_tokens: Collection[int] = ()
    """At any of these tokens, which are not shown."""
    loops: int | Literal["off"] = "off"
    """When the same run of tokens has come this many times in a row."""


class Writer:
    """Turn one row's tokens into pieces."""

    def __init__(self, tokenizer: Tokenizer, ending: Ending, row: int) -> None:
        self._tokenizer = tokenizer
        self._ending = ending
        self._stream = tokenizer.stream()
        self._stop = StopFilter(ending.stop)
        self._loops = LoopDetector(ending.loops) if ending.loops != "off" else None
        self.row = row
        self.count = 0
        """How many tokens were written."""

    @property
    def stops(self) -> frozenset[int] | None:
        """The tokens that end the text, if nothing but they and its length can."""
        ending = self._ending
        is_plain = not ending.stop and ending.loops == "off"
        return frozenset((self._tokenizer.end, *ending.stop_tokens)) if is_plain else None

    @property
    def most(self) -> int:
        """How many tokens are written at most."""
        return self._ending.max_tokens

    def write(self, token: int, logprob: float, alternatives: tuple[Alternative, ...] = ()) -> Piece:
        """Take the next token and say what text is certain now, and whether it is the last."""
        self.count += 1
        reason, why = self._reason(token)
        is_shown = token != self._tokenizer.end and token not in self._ending.stop_tokens
        text = self._stop.push(self._stream.push(token)) if is_shown else ""
        if self._stop.stopped:
            reason, why = "stop", ""
        elif reason:
            text += self._stop.push(self._stream.flush()) + ("" if self._stop.stopped else self._stop.flush())
            reason = "stop" if self._stop.stopped else reason
        return Piece(text, token, logprob, self.row, reason, why, alternatives)

    def extend(self, tokens: Sequence[int]) -> tuple[str, FinishReason | Literal[""]]:
        """Take several tokens at once, of which only the last may end the text; for texts that have `stops` alone."""
        assert self.stops is not None
        self.count += len(tokens)
        reason, _ = self._reason(tokens[-1])
        text = self._stream.extend(tokens[:-1] if reason in ("end", "stop") else tokens)
        return text + (self._stream.flush() if reason else ""), reason

    def _reason(self, token: int) -> tuple[FinishReason | Literal[""], str]:
        if token == self._tokenizer.end:
            return "end", ""
        if token in self._ending.stop_tokens:
            return "stop", f"the stop token {self._tokenizer.token_text(token)} was written"
        if run := self._loops.push(token) if self._loops else ():
            said = "".join(map(self._tokenizer.token_text, run))
            return "loop", f"the same {len(run)} tokens came {self._ending.loops} times in a row: {said!r}"
        return ("length" if self.count >= self._ending.max_tokens else ""), ""
