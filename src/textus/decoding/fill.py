"""What may stand where a text has blanks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch

from textus.config import Count, Range, check
from textus.decoding.unmask import unmask
from textus.errors import InputError
from textus.model.hidden import both_ways, hidden_log_probabilities
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.report import Shown
from textus.tokenizer.content import MASK
from textus.tokenizer.tokenizer import Tokenizer

MOST_BLANKS = 64
"""In one text: so many hidden at once leave little to guess them from."""


@dataclass(frozen=True)
class Candidate:
    """A token for a blank."""

    token: str
    """As it stands in the text, with the space before it where it begins a word."""
    probability: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {"token": self.token, "probability": self.probability}


@dataclass(frozen=True)
class Filling(Shown):
    """A text with its blanks filled."""

    text: str
    """With a token in each that fits the others."""
    blanks: tuple[tuple[Candidate, ...], ...]
    """The candidates for each blank, the likeliest first."""

    def __str__(self) -> str:
        told = (", ".join(f"'{one.token}' {one.probability:.3f}" for one in blank) for blank in self.blanks)
        return "\n".join([self.text, *told])

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {"masks": [[one.as_dict() for one in blank] for blank in self.blanks], "text": self.text}


def fill(model: Transformer, tokenizer: Tokenizer, text: str, top_k: int) -> Filling:
    """Return the `top_k` likeliest tokens for each `<mask>` in a text, which begins a document.

    Every blank is one token, and its candidates are those with all others blank. A space before a blank belongs to it,
    since it belongs to the word that is missing. In the text, blanks are filled one after the other, the surest first,
    each with those before it in sight. Raises `InputError` where there is no blank, there are too many, or the text
    is too long, and `ConfigError` where the model reads from left to right only.
    """
    both_ways(model, "filling a blank")
    check(Annotated[int, Range(1, tokenizer.vocab_size)], top_k, "top_k", "fill")
    tokens = blanked(tokenizer, text)
    positions = [position for position, token in enumerate(tokens) if token == tokenizer.mask]
    _check(tokenizer, len(positions), len(tokens), model.config.context_length)
    with evaluating(model), torch.inference_mode():
        (likely,) = hidden_log_probabilities(model, [tokens], [positions])
    likely = likely[:, : tokenizer.vocab_size].double()
    likely[:, sorted({tokenizer.mask, *tokenizer.special})] = -torch.inf
    best = likely.topk(min(top_k, tokenizer.vocab_size))
    tokens = unmask(model, tokenizer, tokens, steps=len(positions))
    blanks = tuple(
        tuple(
            Candidate(tokenizer.decode([token]), float(value))
            for token, value in zip(ids, values, strict=True)
            if value > 0
        )
        for ids, values in zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
    )
    return Filling(_unframed(tokenizer, tokens), blanks)


def blanked(tokenizer: Tokenizer, text: str, more: int = 0) -> list[int]:
    """Return the framed tokens of a text in which `<mask>`, or the mask's own name, stands for a hidden token.

    So many `more` hidden ones stand behind the text.
    """
    name = tokenizer.token_bytes(tokenizer.mask).decode().strip()
    tokens: list[int] = []
    *before, last = text.replace(MASK, name).split(name)
    for part in before:
        tokens += [*tokenizer.encode(part.removesuffix(" ")), tokenizer.mask]
    return tokenizer.frame([*tokens, *tokenizer.encode(last), *[tokenizer.mask] * more])


def write(
    model: Transformer,
    tokenizer: Tokenizer,
    text: str,
    num_tokens: int,
    *,
    steps: int | Literal["auto"] = "auto",
    temperature: float = 0.0,
    seed: int = 0,
) -> str:
    """Return a text with `num_tokens` more written behind it, and its blanks filled, in any order.

    `steps` is how often the model is asked; auto: once for each token. Raises `InputError` where it would be longer
    than the context.
    """
    both_ways(model, "writing in any order")
    check(Count, num_tokens, "num_tokens", "write")
    tokens = blanked(tokenizer, text, num_tokens)
    _check_length(len(tokens), model.config.context_length, "write fewer tokens, or give a shorter text")
    asked = tokens.count(tokenizer.mask) if steps == "auto" else steps
    written = unmask(model, tokenizer, tokens, steps=asked, temperature=temperature, seed=seed)
    return _unframed(tokenizer, written)


def _unframed(tokenizer: Tokenizer, tokens: list[int]) -> str:
    """Return the text between what the tokenizer puts around it."""
    behind = len(tokenizer.frame([])) - 1
    return tokenizer.decode(tokens[1 : len(tokens) - behind])


def _check(tokenizer: Tokenizer, blanks: int, length: int, context: int) -> None:
    name = tokenizer.token_bytes(tokenizer.mask).decode()
    if not blanks:
        raise InputError(
            f"the text has no {name}, and nothing to fill", hint=f'write {name} for a word: "It was a {name} day."'
        )
    if blanks > MOST_BLANKS:
        raise InputError(
            f"the text has {blanks} blanks, and at most {MOST_BLANKS} can be filled at once",
            hint="fill it in parts, each with the words around its blanks",
        )
    _check_length(length, context, "give only the words around the blanks")


def _check_length(length: int, context: int, hint: str) -> None:
    if length > context:
        raise InputError(
            f"the text has {length} tokens, the one before it included; the model reads at most {context}", hint=hint
        )
