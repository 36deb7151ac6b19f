"""Conversations as tokens: what a model reads, and which of it the assistant has written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from textus.errors import TokenizerError
from textus.tokenizer.content import TURN_END, TURN_START
from textus.tokenizer.template import ANSWER, CHATML, OVER, ChatTemplate, Message
from textus.tokenizer.tokenizer import Tokenizer

Supervised = Literal["assistant", "last", "all"]
"""Which tokens are asked: those of all answers, of the last one, or every one."""
_SHIELD = "\ue0f2"
"""Put into words that look like a special token, so that nobody can forge a turn."""


@dataclass(frozen=True)
class Part:
    """A run of a conversation's text."""

    text: str
    asked: bool


class Turns:
    """Write conversations as the template says, in the tokens of a vocabulary.

    What the template writes may be special tokens; what people and models have said is ordinary text, whatever it looks
    like. An answer's tokens are cut off from what stands before it, as they are when the model writes one.
    """

    def __init__(self, template: ChatTemplate, tokenizer: Tokenizer) -> None:
        self.template = template
        self.tokenizer = tokenizer
        named = {tokenizer.token_bytes(token).decode(): token for token in tokenizer.special | {tokenizer.end}}
        self._ids = named
        by_length = sorted(named, key=lambda name: (-len(name), name))
        self._special = re.compile("|".join(map(re.escape, by_length)))

    @classmethod
    def of(cls, template: ChatTemplate | None, tokenizer: Tokenizer) -> Turns:
        """Return how a model's turns are written: by its own template, or by ours where it has none."""
        end = tokenizer.token_bytes(tokenizer.end).decode().strip()
        usual = {"bos_token": end, "eos_token": TURN_END}
        if template is None:
            return cls(ChatTemplate(CHATML, usual), tokenizer)
        return cls(replace(template, tokens={**usual, **template.tokens}), tokenizer)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens before the model's next turn."""
        return self._tokens(self.template.render(self._shielded(messages), begin_answer=True))

    @cached_property
    def end(self) -> int:
        """Return the token that ends an answer.

        Raises `TokenizerError` where the template ends it with none, or with one that the vocabulary lacks.
        """
        said = "textus"
        question = {"role": "user", "content": said}
        written = self.template.render([question, {"role": "assistant", "content": said}])
        found = self._special.search(written[written.rfind(said) :])
        if found is None:
            raise TokenizerError(
                "the chat template ends an answer with no special token of this vocabulary",
                hint="a model would never stop: give a template that does, or a tokenizer that has its tokens",
            )
        return self._ids[found[0]]

    def encode(self, messages: Sequence[Message], supervised: Supervised = "assistant") -> tuple[list[int], list[bool]]:
        """Return the tokens of a conversation, and which of them are asked."""
        tokens: list[int] = []
        asked: list[bool] = []
        for part in self.parts(messages, supervised):
            new = self._tokens(part.text)
            tokens += new
            asked += [part.asked] * len(new)
        return tokens, asked

    def parts(self, messages: Sequence[Message], supervised: Supervised = "assistant") -> list[Part]:
        """Cut the text of a conversation where an answer begins or ends."""
        shielded = self._shielded(messages)
        if self.template.marks_answers:
            parts = _marked_parts(self.template.render(shielded, marked=True))
        else:
            parts = self._parts(shielded)
        if supervised == "all":
            return [Part(part.text, True) for part in parts]
        last = max((place for place, part in enumerate(parts) if part.asked), default=-1)
        only = {last} if supervised == "last" else range(len(parts))
        return [Part(part.text, part.asked and place in only) for place, part in enumerate(parts)]

    def _parts(self, messages: Sequence[Message]) -> list[Part]:
        """Find the answers by what the template writes before and behind each of them."""
        whole, found, done = self.template.render(messages), [], 0
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.template.render(messages[:number], begin_answer=True)
            behind = self.template.render(messages[: number + 1])
            if not (behind.startswith(before) and whole.startswith(behind) and len(before) >= done):
                raise TokenizerError(
                    f"message {number + 1}: the chat template writes this answer otherwise once more is said, so that "
                    "it cannot be told what the model has to learn",
                    hint="mark the answer in the template by {% generation %}, or give single exchanges",
                )
            # what stands behind the token that ends the answer is never written by the model
            ends = [match.end() for match in self._special.finditer(behind, len(before))]
            stop = ends[-1] if ends else len(behind)
            found += [Part(whole[done : len(before)], False), Part(whole[len(before) : stop], True)]
            done = stop
        return [part for part in [*found, Part(whole[done:], False)] if part.text]

    def _shielded(self, messages: Sequence[Message]) -> list[Message]:
        def shield(match: re.Match[str]) -> str:
            return f"{match[0][0]}{_SHIELD}{match[0][1:]}"

        return [
            {
                name: self._special.sub(shield, value) if isinstance(value, str) and name != "role" else value
                for name, value in message.items()
            }
            for message in messages
        ]

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = []
        at = 0
        for match in self._special.finditer(text):
            tokens += self._plain(text[at : match.start()])
            tokens.append(self._ids[match[0]])
            at = match.end()
        return tokens + self._plain(text[at:])

    def _plain(self, text: str) -> list[int]:
        return self.tokenizer.encode(text.replace(_SHIELD, "")) if text else []


def missing(template: ChatTemplate | None, tokenizer: Tokenizer) -> list[str]:
    """Name the tokens of our own template that a vocabulary lacks, where that template is to be used."""
    if template is not None:
        return []
    there = {tokenizer.token_bytes(token).decode() for token in tokenizer.special}
    return [name for name in (TURN_START, TURN_END) if name not in there]


def _marked_parts(text: str) -> list[Part]:
    parts: list[Part] = []
    for piece in re.split(f"({ANSWER}.*?{OVER})", text, flags=re.DOTALL):
        asked = piece.startswith(ANSWER)
        if plain := piece.strip(ANSWER + OVER) if asked else piece:
            parts.append(Part(plain, asked))
    return parts
