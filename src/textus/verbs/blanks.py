"""Passages of the validation part with words hidden and filled in again: what a masked model shows of itself."""

from __future__ import annotations

import torch

from textus.checkpoint.checkpoint import Checkpoint
from textus.dataset.split import TokenSplit
from textus.model.hidden import hidden_log_probabilities
from textus.objectives.measure import evaluating
from textus.tokenizer.tokenizer import Tokenizer

PASSAGES = 3
_TOKENS = 64
_BLANKS = 4
_SHORTEST = 3
"""Letters of a word that is worth hiding."""


def filled_passages(opened: Checkpoint, split: TokenSplit) -> tuple[str, ...]:
    """Return the beginnings of some documents with single words hidden; each shows the model's word and the true one.

    A passage reads `the [great, was: new] nation`, and `the [new] nation` where the model was right.
    """
    count = min(PASSAGES, split.num_documents)
    chosen = [number * split.num_documents // count for number in range(count)]
    length = min(_TOKENS, opened.model.config.context_length)
    passages = [split.document(number)[:length].tolist() for number in chosen]
    return tuple(_filled(opened, tokens) for tokens in passages)


def _filled(opened: Checkpoint, tokens: list[int]) -> str:
    tokenizer = opened.tokenizer
    blanks = _words(tokenizer, tokens)
    hidden = [tokenizer.mask if position in blanks else token for position, token in enumerate(tokens)]
    guesses: dict[int, int] = {}
    if blanks:
        with evaluating(opened.model), torch.inference_mode():
            (likely,) = hidden_log_probabilities(opened.model, [hidden], [blanks])
        guesses = dict(zip(blanks, likely[:, : tokenizer.vocab_size].argmax(1).tolist(), strict=True))
    parts = b"".join(
        _shown(tokenizer, token, guesses[position]) if position in guesses else tokenizer.token_bytes(token)
        for position, token in enumerate(tokens)
        if token not in tokenizer.special
    )
    return parts.decode("utf-8", "replace")


def _shown(tokenizer: Tokenizer, true: int, guess: int) -> bytes:
    mine, theirs = (tokenizer.token_bytes(token).strip() for token in (guess, true))
    return b" [" + (mine if guess == true else mine + b", was: " + theirs) + b"]"


def _words(tokenizer: Tokenizer, tokens: list[int]) -> list[int]:
    """Return positions of words that are one token, evenly spread."""
    starts = [*tokenizer.word_starts(tokens).tolist(), True]
    found = []
    for position in range(1, len(tokens)):
        word = tokenizer.token_bytes(tokens[position])
        whole = starts[position] and starts[position + 1] and tokens[position] not in tokenizer.special
        if whole and word.startswith(b" ") and word.strip().isalpha() and len(word) > _SHORTEST:
            found.append(position)
    count = min(_BLANKS, len(found))
    return [found[(2 * number + 1) * len(found) // (2 * count)] for number in range(count)]
