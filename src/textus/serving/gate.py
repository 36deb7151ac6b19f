"""The one place where the guard stands: nothing goes to a model or comes from it but through here.

Without a guard everything passes, by the same way. `safety.gate` judges and logs; here that becomes refusals, and
tokens that are told of behind their text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from textus.safety.gate import BLOCKED
from textus.safety.gate import Gate as Judge
from textus.safety.guard import Guard
from textus.safety.policy import Side
from textus.safety.verdict import Verdict
from textus.serving.refusal import Refusal
from textus.tokenizer.tokenizer import Tokenizer

LEAST = -9999.0
"""Stands for the logarithm of a probability of nothing, for which JSON has no word."""


@dataclass(frozen=True)
class Gate:
    """Let texts pass on both sides as far as a guard does, if there is one."""

    judge: Judge | None = None

    @property
    def guard(self) -> Guard | None:
        """Return who decides."""
        return self.judge.guard if self.judge is not None else None

    def admit(self, text: str, param: str, facts: Mapping[str, Any], side: Side = "input") -> str:
        """Return what may go on of a whole text, or refuse the request."""
        if self.judge is None:
            return text
        verdict = self.judge.admit(text, side, **facts)
        if verdict.blocked:
            named = ", ".join(verdict.categories)
            raise Refusal(400, f"the guard lets this text not pass: {named}", param=param, code=BLOCKED)
        return verdict.text

    def log(self, verdict: Verdict, text: str, facts: Mapping[str, Any]) -> None:
        """Note a decision, where there is a log."""
        if self.judge is not None:
            self.judge.log(verdict, text, **facts)


@dataclass(frozen=True)
class Mark:
    """What is told about a token, with its place in the text."""

    token: int
    logprob: float | None
    alternatives: tuple[tuple[int, float], ...]
    start: int
    end: int

    def told(self, bytes_of: Callable[[int], bytes]) -> list[Any]:
        """Return what goes to the other process; bytes as characters, since JSON has no bytes."""
        alternatives = [[bytes_of(token).decode("latin-1"), _number(value)] for token, value in self.alternatives]
        logprob = None if self.logprob is None else _number(self.logprob)
        return [bytes_of(self.token).decode("latin-1"), logprob, alternatives, self.start]


def _number(value: float) -> float:
    return value if math.isfinite(value) else LEAST


class Passage:
    """One text on its way out: tokens are told of when their text has left, and not if it was redacted.

    Redaction and hold-back move the text that leaves behind what is written; a token's place is counted in what is
    written.
    """

    def __init__(self, tokenizer: Tokenizer, guard: Guard | None, tells: bool) -> None:
        self._tokenizer, self._tells = tokenizer, tells
        self._watch = guard.stream("output") if guard is not None else None
        self._decoder = tokenizer.stream()
        self._decoded = self._written = 0
        self._open: list[tuple[int, float | None, tuple[tuple[int, float], ...]]] = []  # tokens of part of a character
        self._marks: list[Mark] = []
        self._kept: list[str] = []

    @property
    def blocked(self) -> bool:
        """Tell whether nothing more comes out."""
        return self._watch is not None and self._watch.blocked

    def tell(self, token: int, logprob: float | None, alternatives: tuple[tuple[int, float], ...]) -> None:
        """Take the next token; its text comes by `push`, now or later."""
        if not self._tells:
            return
        is_text = token not in self._tokenizer.special and token != self._tokenizer.end
        start, self._decoded = self._decoded, self._decoded + len(self._decoder.push(token) if is_text else "")
        self._open.append((token, logprob, alternatives))
        if self._decoded > start or not is_text:
            self._settle(start)

    def push(self, text: str) -> tuple[str, list[Mark]]:
        """Take the next piece of the text; return what may leave, and the tokens that it tells of."""
        self._written += len(text)
        if self._watch is None:
            return text, self._leaving(self._written)
        self._kept.append(text)
        left = self._watch.push(text)
        return left, self._leaving(self._written - self._watch.held) if left else []

    def coming(self, text: str, closes: bool) -> str:
        """Return the window that the guard will read next if `text` is pushed; empty for none."""
        return self._watch.coming(text, closes) if self._watch is not None else ""

    def close(self) -> tuple[str, list[Mark]]:
        """Return what was held back and may leave."""
        if self._tells:
            start, self._decoded = self._decoded, self._decoded + len(self._decoder.flush())
            self._settle(start)
        left = self._watch.close() if self._watch is not None else ""
        if self.blocked:
            self._marks = []
            return "", []
        if self._written < self._decoded:  # what was written behind a stop string has no text that leaves
            self._marks = [mark for mark in self._marks if mark.start < self._written]
        return left, self._leaving(max(self._written, self._decoded))

    def verdict(self) -> tuple[Verdict, str] | None:
        """Return what was found, and the text in which, where it was looked at."""
        return (self._watch.verdict(), "".join(self._kept)) if self._watch is not None else None

    def _settle(self, start: int) -> None:
        self._marks += [Mark(*one, start, self._decoded) for one in self._open]
        self._open = []

    def _leaving(self, until: int) -> list[Mark]:
        if self.blocked:
            return []
        leaving = [mark for mark in self._marks if mark.end <= until]
        if not leaving:
            return []
        self._marks = self._marks[len(leaving) :]
        hidden = self._watch.hidden if self._watch is not None else []
        return [mark for mark in leaving if not any(mark.start < end and mark.end > start for start, end in hidden)]
