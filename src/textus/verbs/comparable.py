"""What may be set side by side: which models, by which number, and the sums of documents that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ConfigError, NotComparable
from textus.evaluation.estimate import Evaluation, Units
from textus.evaluation.masked import evaluate_masked, measure_bound
from textus.evaluation.paired import OF_BYTES, Metric
from textus.evaluation.perplexity import evaluate
from textus.progress import Progress
from textus.verbs.material import Material

OWN_TOKENIZER: tuple[Metric, ...] = ("loss", "perplexity", "masked_loss")
"""Metrics that mean something only beside those of the same tokenizer."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """The sums of a metric, and whether they only bound what is asked."""

    units: Units
    is_bound: bool


def names_of(directories: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that tell the models apart."""
    paths = [directory.resolve() for directory in directories]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ConfigError(f"{twice.name}: named twice", hint="compare different models")
    length = 1
    while len({path.parts[-length:] for path in paths}) < len(paths):
        length += 1
    return ["/".join(path.parts[-length:]) for path in paths]


def refuse_other_kinds(names: Sequence[str], opened: Sequence[Checkpoint], metric: Metric) -> None:
    """Refuse to set likelihoods beside scores of models that read both ways, which are other numbers."""
    if metric == "bits_per_byte_bound":
        return
    if metric == "masked_loss":
        _refuse_other_questions(names, opened)
        return
    for name, one in zip(names, opened, strict=True):
        if not reads_causally(one):
            raise NotComparable(
                f"{name} reads both ways, and gives no likelihood of a text from left to right",
                hint="--metric bits_per_byte_bound sets what its bits per byte are at most beside a causal model's; "
                "models that read both ways are compared by --metric masked_loss",
            )


def _refuse_other_questions(names: Sequence[str], opened: Sequence[Checkpoint]) -> None:
    """Refuse masked losses that would not be of the same hidden tokens."""
    for name, one in zip(names, opened, strict=True):
        if "bidirectional" not in one.config.readings:
            raise NotComparable(
                f"{name} reads from left to right only, and has no masked loss",
                hint="--metric bits_per_byte_bound sets its bits per byte beside what those of a masked model are at "
                "most",
            )
        if (one.config.context_length, one.config.prediction_offset) != (
            opened[0].config.context_length,
            opened[0].config.prediction_offset,
        ):
            raise NotComparable(
                f"{name} reads windows of another kind than {names[0]}, in which other tokens are hidden",
                hint="compare what their bits per byte are at most: --metric bits_per_byte_bound",
            )


def refuse_other_tokenizers(
    names: Sequence[str], opened: Sequence[Checkpoint], metric: Metric, has_texts: bool
) -> None:
    """Refuse numbers per token where the tokens differ."""
    if metric not in OWN_TOKENIZER:
        return
    better = "bits_per_byte_bound" if metric == "masked_loss" else "bits_per_byte"
    for name, one in zip(names, opened, strict=True):
        if one.tokenizer.fingerprint != opened[0].tokenizer.fingerprint:
            where = "" if has_texts else " on the same texts"
            raise NotComparable(
                f"{name} and {names[0]} have different tokenizers: their {metric} is per token, and the tokens differ",
                hint=f"compare bits per byte{where}: --metric {better}{'' if has_texts else ' --texts TEXTS'}",
            )


def refuse_other_texts(names: Sequence[str], found: Sequence[Evaluation], split: str, metric: Metric) -> None:
    """Refuse numbers of different texts."""
    better = metric if metric in OF_BYTES else "bits_per_byte"
    for name, one in zip(names, found, strict=True):
        if one.scores[0].data != found[0].scores[0].data:
            raise NotComparable(
                f"the {split} parts of {name} and {names[0]} are different texts",
                hint="compare bits per byte on the same bytes, which neither has learnt from: "
                f"--metric {better} --texts TEXTS",
            )


def refuse_few_texts(names: Sequence[str], measured: Sequence[Measurement]) -> None:
    """Refuse to pair blocks of text with windows of hidden tokens, which are other parts of it."""
    for name, one in zip(names, measured, strict=True):
        if one.is_bound is not measured[0].is_bound and one.units.kind == "block":
            raise NotComparable(
                f"the texts are too few to compare {name} and {names[0]} document by document",
                hint="compare on 20 documents or more",
            )


def reads_causally(opened: Checkpoint) -> bool:
    """Tell whether a model gives a likelihood from left to right."""
    return "causal" in opened.config.readings and opened.config.prediction_offset == 1


def measurement(
    opened: Checkpoint, found: Evaluation, metric: Metric, material: Material, stride: int, progress: Progress
) -> Measurement:
    """Return what a metric is made of: of what `evaluate` has found already, or of another pass over the texts.

    For the bound the ends of documents are given, so that a causal model's bits for them count nothing either.
    """
    network, tokenizer = opened.model, opened.tokenizer
    if metric == "masked_loss" and reads_causally(opened):
        masked = evaluate_masked(network, tokenizer, material.measured(), data=material.data, progress=progress)
        return Measurement(masked.units, False)
    if metric != "bits_per_byte_bound":
        return Measurement(found.units, False)
    if reads_causally(opened):
        causal = evaluate(
            network, tokenizer, material.measured(), data=material.data, stride=stride, ends=False, progress=progress
        )
        return Measurement(causal.units, False)
    bound = measure_bound(network, tokenizer, material.measured(), data=material.data, progress=progress)
    return Measurement(bound.units, True)
