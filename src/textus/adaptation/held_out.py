"""What a model reaches on examples that it has not learnt from: its loss on them, and how it ends its answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from textus.checkpoint.checkpoint import Checkpoint
from textus.dataset.packing import Packed
from textus.decoding.config import SamplingConfig
from textus.decoding.generate import complete
from textus.decoding.strategy import strategy_of
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.logprobs import label_logprobs
from textus.objectives.measure import evaluating
from textus.progress import SILENT, Progress
from textus.report import Score
from textus.tokenizer.turns import Turns

_ROWS = 8
"""Windows read at once."""
_GRAM = 4
"""Tokens of a run that is told as repeated."""


@torch.inference_mode()
def example_sums(
    model: Transformer, packed: Packed, name: str = "", progress: Progress = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Return of each example the sum of ln p over the tokens that are asked, and how many those are."""
    found, counts = np.zeros(len(packed.split)), np.zeros(len(packed.split), np.int64)
    device = model.embedding.weight.device
    with evaluating(model), progress.task(name or "held-out part", packed.per_epoch, "windows") as task:
        for first in range(0, packed.per_epoch, _ROWS):
            numbers = range(first, min(first + _ROWS, packed.per_epoch))
            window = packed.rows(np.array(numbers))
            batch = Causal().batch(window, torch.Generator()).to(device)
            sums = label_logprobs(model, batch).double().cpu().numpy()
            asked = (batch.labels.cpu() >= 0).numpy()
            documents = window.documents[:, :-1].numpy()
            for row, number in enumerate(numbers):
                examples = packed.examples(number)
                inside = documents[row] >= 0
                np.add.at(found, examples[documents[row][inside]], sums[row][inside])
                np.add.at(counts, examples[documents[row][inside]], asked[row][inside])
            task.advance(len(numbers))
    return found, counts


def held_out_loss(model: Transformer, packed: Packed, progress: Progress = SILENT) -> Score:
    """Return the nats per asked token, with the standard error of that ratio over examples."""
    sums, counts = example_sums(model, packed, progress=progress)
    total = int(counts.sum())
    mean = float(-sums.sum() / total)
    number = max(2, int((counts > 0).sum()))
    spread = float(np.square(-sums - mean * counts).sum()) * number / (number - 1)
    split = packed.split
    return Score(
        "held_out_loss", mean, math.sqrt(spread) / total, "nats per token", split.tokenizer_fingerprint,
        split.data_fingerprint,
    )  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """How a model answers questions."""

    texts: tuple[str, ...]
    ended: tuple[bool, ...]
    """Whether it came to an end by itself."""
    repeated: tuple[float, ...]
    """Of each answer, the share of runs of four tokens that had come before in it."""
    formed: tuple[bool, ...]
    """Whether it is one turn as the template has it: it ends, says something, and opens no other turn."""

    def scores(self, tokenizer: str, data: str) -> tuple[Score, ...]:
        """Return the rates with their standard errors."""
        rows = {
            "end_rate": ([float(one) for one in self.ended], "share of answers"),
            "well_formed": ([float(one) for one in self.formed], "share of answers"),
            "repetition": (list(self.repeated), "share of runs"),
        }
        return tuple(
            Score(name, *mean_and_error(values), unit, tokenizer, data) for name, (values, unit) in rows.items()
        )


def answers(
    opened: Checkpoint,
    turns: Turns,
    questions: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    max_tokens: int,
    progress: Progress = SILENT,
) -> Answers:
    """Let a model answer each of these prompts; what the template ends an answer with ends it."""
    texts, ended, repeated, formed = [], [], [], []
    special = opened.tokenizer.special
    strategy = strategy_of(sampling, opened.tokenizer)
    with progress.task("answers", len(questions), "answers") as task:
        for number, question in enumerate(questions):
            done = complete(
                opened.model,
                opened.tokenizer,
                question,
                strategy,
                max_tokens=max_tokens,
                stop_tokens=(turns.end,),
                seed=sampling.seed + number,
                bare=True,
            )
            over = done.finish_reason in ("end", "stop")
            texts.append(done.text)
            ended.append(over)
            said = done.tokens[:-1] if done.finish_reason == "stop" else done.tokens
            repeated.append(repetition(said))
            formed.append(over and bool(done.text.strip()) and special.isdisjoint(said))
            task.advance(1)
    return Answers(tuple(texts), tuple(ended), tuple(repeated), tuple(formed))


def repetition(tokens: Sequence[int]) -> float:
    """Return the share of runs of four tokens that have come before.

    >>> repetition([1, 2, 3, 4, 1, 2, 3]), repetition([1, 2, 1, 2, 1, 2, 1]), repetition([1, 2, 3])
    (0.0, 0.5, 0.0)
    """
    runs = [tuple(tokens[at : at + _GRAM]) for at in range(len(tokens) - _GRAM + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    if not values:
        return math.nan, 0.0
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
