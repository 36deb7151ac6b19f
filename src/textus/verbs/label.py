"""Give texts, or their words, the labels that a model was adapted to give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textus.adaptation.encode import fitting, text_tokens, word_tokens
from textus.adaptation.predict import text_logits, word_logits
from textus.checkpoint.checkpoint import Checkpoint
from textus.config import Count, check
from textus.errors import ConfigError, InputError
from textus.model.headed import Headed
from textus.verbs.load import load

Text = str | Sequence[str]
"""A text; where texts come in pairs, two of them; where words have labels, its words, or a text cut at white space."""
_SHORTER = "shorten it, or cut it into passages"


@dataclass(frozen=True)
class Answer:
    """A label and how probable the model holds it."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answered:
    """What a model says of one text."""

    text: Text
    words: tuple[str, ...]
    """What the answers are about: the words of the text; empty where they are about the text as a whole."""
    answers: tuple[tuple[Answer, ...], ...]
    """The likeliest labels of each, the likeliest first."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        shown = [[vars(answer) for answer in part] for part in self.answers]
        text = self.text if isinstance(self.text, str) else list(self.text)
        if not self.words:
            return {"text": text, "labels": shown[0]}
        words = [{"word": word, "labels": part} for word, part in zip(self.words, shown, strict=True)]
        return {"text": text, "words": words}


def label(
    model: str | Path | Checkpoint, texts: Text | Sequence[Text], *, top_k: int = 3, device: str = "cpu"
) -> list[Answered]:
    """Return the `top_k` likeliest labels of each text, or of each of its words, with their probabilities.

    Which of the two, and whether texts come in pairs, is the model's: `textus adapt --method classify` or `tag`.
    Where any number of labels may hold at once, each has a probability of its own.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    network = opened.model
    check(Count, top_k, "top_k", "label")
    if not isinstance(network, Headed) or network.task.task == "embed":
        has = "makes vectors" if isinstance(network, Headed) else "predicts tokens"
        raise ConfigError(
            f"this model {has}, and gives no labels",
            hint="adapt it first: textus adapt MODEL examples.jsonl --method classify, or tag",
        )
    given: list[Text] = [texts] if isinstance(texts, str) else list(texts)
    if not given:
        return []
    return (_of_words if network.task.task == "tag" else _of_texts)(opened, network, given, top_k)


def _of_texts(opened: Checkpoint, model: Headed, texts: Sequence[Text], top_k: int) -> list[Answered]:
    rows = []
    for number, text in enumerate(texts, 1):
        first, *others = [text] if isinstance(text, str) else text
        if len(others) != model.task.in_pairs:
            wants = "two texts each" if model.task.in_pairs else "one text each"
            raise InputError(f"text {number}: this model takes {wants}", hint="give them as it was taught with")
        tokens = text_tokens(opened.tokenizer, first, *others)
        rows.append(fitting(tokens, opened.config.context_length, f"text {number}", "refuse", _SHORTER))
    logits = text_logits(model, rows)
    chances = logits.sigmoid() if model.task.several else logits.softmax(1)
    return [Answered(text, (), (_best(model, row, top_k),)) for text, row in zip(texts, chances, strict=True)]


def _of_words(opened: Checkpoint, model: Headed, texts: Sequence[Text], top_k: int) -> list[Answered]:
    rows, places, words = [], [], []
    for number, text in enumerate(texts, 1):
        parts = tuple(text.split()) if isinstance(text, str) else tuple(text)
        if not parts or not all(part.strip() for part in parts):
            raise InputError(f"text {number}: no word in it", hint="leave it out")
        tokens, asked = word_tokens(opened.tokenizer, parts, model.task.reading)
        rows.append(fitting(tokens, opened.config.context_length, f"text {number}", "refuse", _SHORTER))
        places.append(asked)
        words.append(parts)
    found = word_logits(model, rows, places)
    return [
        Answered(text, parts, tuple(_best(model, row, top_k) for row in logits.softmax(1)))
        for text, parts, logits in zip(texts, words, found, strict=True)
    ]


def _best(model: Headed, chances: Float[Tensor, " labels"], top_k: int) -> tuple[Answer, ...]:
    values, numbers = torch.topk(chances, min(top_k, len(chances)))
    return tuple(
        Answer(model.task.labels[number], value)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True)
    )
