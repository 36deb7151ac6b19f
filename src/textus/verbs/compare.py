"""Set models side by side on the same text, where that says something."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from textus import storage
from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.document import Document
from textus.errors import ConfigError, TextusError
from textus.evaluation.effect import holm
from textus.evaluation.estimate import Evaluation, ratio
from textus.evaluation.paired import CONFIDENCE, Comparison, Metric, paired
from textus.evaluation.paired import compare as compare_pairs
from textus.progress import SILENT, Progress
from textus.report import Chart, Prose, Report, Section, Shown, Table, number
from textus.training.keep import METRICS
from textus.training.log import read_metrics
from textus.verbs.comparable import (
    Measurement,
    measurement,
    names_of,
    refuse_few_texts,
    refuse_other_kinds,
    refuse_other_texts,
    refuse_other_tokenizers,
)
from textus.verbs.continuations import beginnings, continuation, part_documents
from textus.verbs.evaluate import evaluate, measure_texts, stride_of
from textus.verbs.load import load
from textus.verbs.material import Material, read_texts
from textus.verbs.settings import kept_settings
from textus.verbs.train import RECORD

_BOUND = (
    "A model that reads both ways has a bound: its bits per byte are at most so many, the ends of documents given, and "
    "those of causal models are counted without these ends too. Where the bound is below, the model is better; where "
    "it is above, nothing is told. "
)


@dataclass(frozen=True, eq=False)
class Contender:
    """A model that is compared, and what it cost."""

    name: str
    directory: Path
    evaluation: Evaluation
    measured: Measurement
    """What its number is made of."""
    parameters: int
    tokens_seen: int
    """Tokens it was trained on, repeats included; 0 where that is not known."""
    seconds: float
    """In training steps; 0 where that is not known."""
    samples: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        plain = {name: getattr(self, name) for name in ("name", "parameters", "tokens_seen", "seconds", "samples")}
        return {
            **plain,
            "directory": str(self.directory),
            "is_bound": self.measured.is_bound,
            "evaluation": self.evaluation.as_dict(),
        }

    @property
    def reads_causally(self) -> bool:
        """Tell whether it gives a likelihood from left to right."""
        return any(score.name == "bits_per_byte" for score in self.evaluation.scores)


@dataclass(frozen=True, eq=False)
class Compared(Shown):
    """Models side by side: each against the first."""

    metric: Metric
    contenders: tuple[Contender, ...]
    comparisons: tuple[Comparison, ...]
    """Of each model after the first, with the first."""
    prompts: tuple[str, ...]
    """Beginnings of documents that each model has continued."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON: those of the first pair, then all."""
        adjusted = holm([one.p_value for one in self.comparisons])
        rows = [
            {"model": model.name, **one.as_dict(), "p_value_holm": corrected}
            for model, one, corrected in zip(self.contenders[1:], self.comparisons, adjusted, strict=True)
        ]
        return {
            **self.comparisons[0].as_dict(),
            "confidence": CONFIDENCE,
            "comparisons": rows,
            "models": [model.as_dict() for model in self.contenders],
            "prompts": list(self.prompts),
        }

    def report(self) -> Report:
        """Tell the same for people."""
        sections: list[tuple[str, Section]] = [
            (f"Difference to {self.contenders[0].name}", self._differences()),
            ("What these mean", Prose(self._meaning())),
            ("Scores and cost", self._scores()),
            ("What a reader should know", Prose(self._notes(), verbatim=True)),
        ]
        curves = self._curves()
        if curves.lines:
            sections.append(("Validation loss as it was learnt", curves))
        for place, prompt in enumerate(self.prompts):
            rows = tuple((model.name, model.samples[place]) for model in self.contenders)
            sections.append((f"Each goes on: {prompt}", Table(("model", "text"), rows)))
        return Report(f"Comparison of {', '.join(model.name for model in self.contenders)}", tuple(sections))

    def _differences(self) -> Table:
        adjusted = holm([one.p_value for one in self.comparisons])
        rows = tuple(
            (
                model.name,
                *(f"{value:+.4f}" for value in (one.difference, one.low, one.high)),
                corrected,
                f"{one.win_rate:.1%} ± {one.win_error:.1%}",
                verdict(one, self.contenders[0], model),
            )
            for model, one, corrected in zip(self.contenders[1:], self.comparisons, adjusted, strict=True)
        )
        p_value = "p" if len(rows) == 1 else "p (Holm)"
        return Table(("model", self.metric.replace("_", " "), "low", "high", p_value, "wins", "so it is"), rows)

    def _meaning(self) -> str:
        one = self.comparisons[0]
        return (
            f"The difference is a model's {self.metric.replace('_', ' ')} less that of {self.contenders[0].name}: "
            f"below 0, it is better. Low and high hold {CONFIDENCE:.0%} by a bootstrap over {one.pairs} {one.kind}s, "
            "paired; p is that of exchanging the models within pairs; wins are the share of pairs in which it needs "
            f"less. {_BOUND if any(model.measured.is_bound for model in self.contenders) else ''}"
            "All of this is about which text was measured: another training seed would change the difference "
            "too, and nothing here says by how much (`textus ablate` trains on several)."
        )

    def _scores(self) -> Table:
        names = ["bits_per_byte", "perplexity"] if all(model.reads_causally for model in self.contenders) else []
        own = [] if self.metric in (*names, "loss") else [self.metric.replace("_", " "), "±"]
        header = [*own, *(part for name in names for part in (name.replace("_", " "), "±"))]
        rows = []
        for model in self.contenders:
            scores = [model.evaluation.score(name) for name in names]
            row = [*(_own(model, self.metric) if own else ()), *(x for one in scores for x in (one.value, one.error))]
            cost = (model.parameters, model.tokens_seen or "not known", round(model.seconds) or "not known")
            rows.append((model.name, *row, *cost))
        return Table(("model", *header, "parameters", "tokens learnt", "seconds of training"), tuple(rows))

    def _notes(self) -> str:
        lines = [f"{model.name}: {note}" for model in self.contenders for note in model.evaluation.notes()]
        if len({model.evaluation.scores[0].tokenizer for model in self.contenders}) > 1:
            lines.append("the tokenizers differ: their perplexities are not to be compared")
        return "\n".join(lines)

    def _curves(self) -> Chart:
        """Draw validation losses of one kind, each of its own validation part, over the tokens learnt.

        In bits per byte where there are causal models; those that guess hidden tokens have no such curve.
        """
        lines: dict[str, list[tuple[float, float]]] = {}
        causal = [model for model in self.contenders if model.reads_causally]
        for model in causal or self.contenders:
            found, tokens = [], 0
            unit = math.log(2) * model.evaluation.num_bytes / model.evaluation.tokens if causal else 1.0
            for line in read_metrics(model.directory / METRICS):
                tokens += int(line.get("tokens", 0))
                if "validation_loss" in line:
                    found.append((float(tokens), line["validation_loss"] / unit))
            if found:
                lines[model.name] = found
        unit_name = "bits per byte, about" if causal else "nats, by its own objective"
        return Chart("Each on its own validation windows", "tokens learnt", unit_name, lines)


def compare(
    models: Sequence[str | Path | Checkpoint],
    texts: str | Path | Sequence[str | Path] = (),
    *,
    split: str = "validation",
    metric: Metric = "perplexity",
    stride: int | Literal["auto"] = "auto",
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Compared:
    """Compare models with the first of them, on `texts` or on a part of their corpora, document by document.

    Raises `NotComparable` where the numbers would not say what they seem to: a perplexity or loss of other tokenizers,
    or any number of another text. Texts that are given are read as the first model's own were.
    """
    if len(models) < 2:
        raise ConfigError("one model is no comparison", hint="name two or more: textus compare runs/a runs/b")
    opened = [one if isinstance(one, Checkpoint) else load(one, device=device) for one in models]
    names = names_of([one.directory for one in opened])
    paths = [texts] if isinstance(texts, str | Path) else list(texts)
    if paths and split != "validation":
        raise ConfigError(f"texts were given, and the {split} part as well", hint="compare on one, then on the other")
    refuse_other_kinds(names, opened, metric)
    refuse_other_tokenizers(names, opened, metric, bool(paths))
    documents: Iterable[Document]
    if paths:
        documents = read_texts(paths, kept_settings(opened[0].directory).corpus, progress)
        found = [measure_texts(one, documents, stride=stride, progress=progress) for one in opened]
    else:
        found = [evaluate(one, split=split, stride=stride, progress=progress) for one in opened]
        refuse_other_texts(names, found, split, metric)
        documents = part_documents(opened[0].directory, split)
    first = Material.of(opened[0], paths, split, "run", progress)
    measured = [
        measurement(one, evaluation, metric, replace(first, opened=one), stride_of(one, stride), progress)
        for one, evaluation in zip(opened, found, strict=True)
    ]
    refuse_few_texts(names, measured)
    prompts = beginnings(documents)
    contenders = tuple(
        _contender(name, one, evaluation, part, prompts)
        for name, one, evaluation, part in zip(names, opened, found, measured, strict=True)
    )
    units = [part.units for part in measured]
    return Compared(
        metric=metric,
        contenders=contenders,
        comparisons=tuple(compare_pairs(*paired(units[0], other), metric) for other in units[1:]),
        prompts=prompts,
    )


def _contender(
    name: str, opened: Checkpoint, evaluation: Evaluation, measured: Measurement, prompts: Sequence[str]
) -> Contender:
    try:
        record = storage.read_json(opened.directory / RECORD)
        tokens, seconds = int(record["tokens"]), float(record["seconds"])
    except (TextusError, KeyError, TypeError, ValueError):  # a model that was made elsewhere
        tokens, seconds = 0, 0.0
    parameters = opened.config.num_parameters()
    samples = tuple(continuation(opened, prompt) for prompt in prompts)
    return Contender(name, opened.directory, evaluation, measured, parameters, tokens, seconds, samples)


def _own(model: Contender, metric: Metric) -> tuple[str, float]:
    """Return a number that `evaluate` does not give, and its error."""
    units = model.measured.units
    if metric == "masked_loss":
        value, error = ratio(units.nats, units.tokens.astype(float))
    else:
        value, error = ratio(units.nats / math.log(2), units.num_bytes.astype(float))
    return f"{'≤ ' if model.measured.is_bound else ''}{number(value)}", error


def verdict(one: Comparison, first: Contender, second: Contender) -> str:
    """Say what a difference tells; where one number is only at most so much, one direction tells nothing."""
    if not one.is_told:
        return "not told from the first"
    is_worse = one.difference > 0
    if first.measured.is_bound and second.measured.is_bound:
        return "a higher bound" if is_worse else "a lower bound"
    if (second if is_worse else first).measured.is_bound:
        return "not told: a bound may be loose"
    return "worse" if is_worse else "better"
