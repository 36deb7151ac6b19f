"""How likely a text is to a model: token by token from the left, or each token from all others.

The pseudo-log-likelihood of Salazar et al. (2020, arXiv 1910.14659) hides one token at a time, and finds long words too
likely, whose pieces betray each other. Kauf and Ivanova (2023, arXiv 2305.10588) hide the pieces of its word that
follow as well. Neither is a likelihood, and neither can be compared with a causal model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from textus.errors import ConfigError, InputError
from textus.model.hidden import both_ways, hidden_log_probabilities, logarithms
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.report import Report, Shown, Table
from textus.tokenizer.tokenizer import Tokenizer

Method = Literal["causal", "word-l2r", "original"]
_NAMES = {"causal": "log_likelihood", "word-l2r": "pseudo_log_likelihood_word_l2r", "original": "pseudo_log_likelihood"}


@dataclass(frozen=True)
class Likelihood(Shown):
    """How likely a model holds one text to be."""

    text: str
    method: Method
    tokens: tuple[str, ...]
    """As people can read them."""
    logprobs: tuple[float, ...]
    """ln p of each."""

    @property
    def name(self) -> str:
        """Return what the sum is called: sums of different names must not be compared."""
        return _NAMES[self.method]

    @property
    def total(self) -> float:
        """Return the sum, in nats."""
        return float(sum(self.logprobs))

    def report(self) -> Report:
        """Tell the same for people."""
        rows = tuple(zip(self.tokens, self.logprobs, strict=True))
        return Report(f"{self.name} {self.total:.4f} nats", ((self.text, Table(("token", "ln p"), rows)),))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        tokens = [{"token": token, "logprob": value} for token, value in zip(self.tokens, self.logprobs, strict=True)]
        return {"text": self.text, "name": self.name, "value": self.total, "unit": "nats", "tokens": tokens}


def likelihood(model: Transformer, tokenizer: Tokenizer, text: str, method: Method) -> Likelihood:
    """Score a text, which begins a document: END stands before it, and is not scored itself.

    Raises `ConfigError` where the model does not read as the method needs, and `InputError` for a text that is empty or
    longer than the context.
    """
    tokens = [tokenizer.begin, *tokenizer.encode(text)]
    if len(tokens) == 1:
        raise InputError("the text is empty, and has no likelihood", hint="give a text of one character at least")
    context = model.config.context_length
    if len(tokens) > context:
        raise InputError(
            f"the text has {len(tokens)} tokens, the one before it included; the model reads at most {context}",
            hint="score it in parts, or measure it by `textus evaluate`, which reads it in windows",
        )
    with evaluating(model), torch.inference_mode():
        logprobs = _causal(model, tokens) if method == "causal" else _pseudo(model, tokenizer, tokens, method)
    names = tuple(tokenizer.token_text(token) for token in tokens[1:])
    return Likelihood(text, method, names, tuple(logprobs))


def hidden_rows(
    tokens: Sequence[int], starts: Sequence[bool], mask: int, method: Method, first: int = 1
) -> list[list[int]]:
    """Return, for each token from `first` on, the text with it hidden, and with `word-l2r` the later ones of its word.

    >>> hidden_rows([0, 5, 6, 7], [True, True, False, True], 1, "word-l2r")
    [[0, 1, 1, 7], [0, 5, 1, 7], [0, 5, 6, 1]]
    """
    ends = np.append(np.flatnonzero(np.asarray(starts)), len(tokens))
    rows = []
    for position in range(first, len(tokens)):
        stop = position + 1
        if method == "word-l2r":
            stop = int(ends[np.searchsorted(ends, position, "right")])
        rows.append([*tokens[:position], *[mask] * (stop - position), *tokens[stop:]])
    return rows


def _causal(model: Transformer, tokens: list[int]) -> list[float]:
    if "causal" not in model.config.readings:
        raise ConfigError(
            "this model reads both ways, and has no log-likelihood from left to right",
            hint="its pseudo-log-likelihood is another number: --method word-l2r",
        )
    device = model.embedding.weight.device
    states = model.encode(torch.tensor([tokens[:-1]], device=device), attention="causal")[0]
    likely = logarithms(model, states)
    found: list[float] = likely.gather(1, torch.tensor(tokens[1:], device=device).unsqueeze(1)).squeeze(1).tolist()
    return found


def _pseudo(model: Transformer, tokenizer: Tokenizer, tokens: list[int], method: Method) -> list[float]:
    both_ways(model, "a pseudo-log-likelihood")
    rows = hidden_rows(tokens, tokenizer.word_starts(tokens).tolist(), tokenizer.mask, method)
    positions = range(1, len(tokens))
    likely = hidden_log_probabilities(model, rows, [[position] for position in positions])
    return [float(values[0, tokens[position]]) for position, values in zip(positions, likely, strict=True)]
