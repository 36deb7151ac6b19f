"""Questions as tokens: END, what is given, and the last tokens, which are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from textus.evaluation.tasks.item import Item
from textus.tokenizer.tokenizer import Tokenizer

Tokens = Integer[ndarray, " _"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One text whose end is asked."""

    tokens: Tokens
    """END first."""
    asked: int
    """So many of the last tokens are asked, one at least."""

    @property
    def given(self) -> int:
        """Return how many tokens stand before the asked ones."""
        return len(self.tokens) - self.asked


def item_asks(tokenizer: Tokenizer, items: Sequence[Item], shown: str) -> list[list[Ask]]:
    """Return the asks of each item, one for each option, behind the examples that are shown."""
    pairs = [[(one.context, one.continuation) for one in item.options] for item in items]
    if _stands_apart(tokenizer, shown, [pair[0] or pair[1] for group in pairs for pair in group]):
        return asks(tokenizer, pairs, tokenizer.encode(shown))
    return asks(tokenizer, [[(shown + context, answer) for context, answer in group] for group in pairs])


def asks(
    tokenizer: Tokenizer, groups: Sequence[Sequence[tuple[str, str]]], head: Sequence[int] = ()
) -> list[list[Ask]]:
    """Return an ask for each pair of context and continuation; pairs of a group are to be compared with each other.

    The text is encoded whole, as a model reads it. Spaces at the end of a context belong to what follows: most
    vocabularies put a space before a word. Where a token spans the border all the same, the asked part begins before
    it, and at the same place for all that share a context, so that they stay comparable. END and `head` stand before.
    """
    texts = [text for group in groups for pair in group for text in (pair[0] + pair[1], pair[0].rstrip())]
    unique = list(dict.fromkeys(texts))
    encoded = dict(zip(unique, tokenizer.encode_batch(unique), strict=True))
    before = np.array([tokenizer.end, *head], np.int64)
    found = []
    for group in groups:
        wholes = [encoded[context + continuation] for context, continuation in group]
        contexts = [encoded[context.rstrip()] for context, _ in group]
        borders = [min(common(*pair), len(pair[0]) - 1) for pair in zip(wholes, contexts, strict=True)]
        if all(context == group[0][0] for context, _ in group):
            borders = [min(borders)] * len(group)
        found.append([
            Ask(np.concatenate([before, whole.astype(np.int64)]), len(whole) - border)
            for whole, border in zip(wholes, borders, strict=True)
        ])  # fmt: skip
    return found


def prompts(tokenizer: Tokenizer, texts: Sequence[str], shown: str) -> list[Tokens]:
    """Return texts that a model is to go on with, behind END and the examples that are shown.

    A space at the end is left to the model to write: it writes it together with the word behind it, as one token.
    """
    apart = _stands_apart(tokenizer, shown, texts)
    before = np.array([tokenizer.end, *(tokenizer.encode(shown) if apart else ())], np.int64)
    ends = [text.rstrip(" ") if apart else (shown + text).rstrip(" ") for text in texts]
    return [np.concatenate([before, tokens.astype(np.int64)]) for tokens in tokenizer.encode_batch(ends)]


def _stands_apart(tokenizer: Tokenizer, shown: str, texts: Sequence[str]) -> bool:
    """Tell whether examples can be encoded once for all texts: no token spans a line break before a word."""
    if not shown.endswith("\n") or tokenizer.kind != "byte-level BPE":
        return False
    if not all(text[:1].strip() for text in texts):
        return False
    return tokenizer.encode(shown + texts[0]) == tokenizer.encode(shown) + tokenizer.encode(texts[0])


def windows(tokenizer: Tokenizer, text: str, context: int) -> list[Ask]:
    """Cut a text into windows in which each of its tokens is asked once, as lm-evaluation-harness does.

    Windows do not overlap, but for the last, which has all the context that there is. END itself is not asked.

    >>> from textus.tokenizer.alphabet import BYTES
    >>> from textus.tokenizer.content import trained
    >>> names = ["<|endoftext|>", "<mask>", "<|im_start|>", "<|im_end|>", *sorted(BYTES)]
    >>> bytewise = Tokenizer(trained({name: token for token, name in enumerate(names)}, []))
    >>> [(len(ask.tokens), ask.asked) for ask in windows(bytewise, "0123456789", 4)]
    [(5, 4), (5, 4), (5, 2)]
    """
    tokens = np.array([tokenizer.end, *tokenizer.encode(text)], np.int64)
    asked = len(tokens) - 1
    found = []
    for begin in range(0, asked, context):
        stop = min(begin + context, asked)
        found.append(Ask(tokens[max(0, stop - context) : stop + 1], stop - begin))
    return found


def common(one: Tokens, other: Tokens) -> int:
    """Count the tokens that two texts begin with together.

    >>> common(np.array([5, 6, 7]), np.array([5, 6, 8, 9])), common(np.array([5]), np.array([5, 6]))
    (2, 1)
    """
    size = min(len(one), len(other))
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size


def cut(ask: Ask, length: int) -> Ask:
    """Leave out the first tokens of an ask, END too, so that `length` remain."""
    return ask if len(ask.tokens) <= length else Ask(ask.tokens[-length:], min(ask.asked, length - 1))
