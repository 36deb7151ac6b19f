"""Measure a model in every way that it reads, each by the numbers that belong to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from textus.evaluation.estimate import Evaluation, Measured
from textus.evaluation.masked import evaluate_masked, measure_bound
from textus.evaluation.perplexity import evaluate
from textus.model.precision import Precision, autocast
from textus.model.transformer import Transformer
from textus.progress import SILENT, Progress
from textus.tokenizer.tokenizer import Tokenizer


def evaluate_readings(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Callable[[], Iterable[Measured]],
    *,
    data: str,
    stride: int,
    bound: bool,
    precision: Precision = "fp32",
    progress: Progress = SILENT,
) -> Evaluation:
    """Return loss, perplexity and bits per byte of a causal model, the masked scores of one that reads both ways.

    A hybrid has all of them. `documents` yields them anew at each call. `bound` adds the bound on bits per byte that
    masked diffusion gives, at the cost of several more passes.
    """
    found: list[Evaluation] = []
    if "causal" in model.config.readings:
        found.append(
            evaluate(model, tokenizer, documents(), data=data, stride=stride, precision=precision, progress=progress)
        )
    device = model.embedding.weight.device
    if "bidirectional" in model.config.readings:
        with autocast(device, precision):
            found.append(evaluate_masked(model, tokenizer, documents(), data=data, progress=progress))
    scores = [score for one in found for score in one.scores]
    notes = [one.note for one in found]
    if bound:
        with autocast(device, precision):
            above = measure_bound(model, tokenizer, documents(), data=data, progress=progress)
        scores.append(above.score)
        notes.append(above.note)
    if precision != "fp32":
        notes.append(f"computed in {precision}, which changes the third digit or so")
    return dataclasses.replace(
        found[0],
        scores=tuple(scores),
        seconds=sum(one.seconds for one in found),
        note="; ".join(notes),
    )
