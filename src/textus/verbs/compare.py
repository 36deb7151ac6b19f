"""Set models side by side on the same text, where that says something."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from textus import storage
from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.document import Document
from textus.decoding.generate import complete
from textus.decoding.strategy import strategy_of
from textus.errors import ConfigError, NotComparable, TextusError
from textus.evaluation.effect import holm
from textus.evaluation.estimate import Evaluation
from textus.evaluation.paired import CONFIDENCE, Comparison, Metric, paired
from textus.evaluation.paired import compare as compare_pairs
from textus.progress import SILENT, Progress
from textus.report import Chart, Prose, Report, Section, Table
from textus.training.keep import METRICS
from textus.training.log import read_metrics
from textus.verbs.contamination import corpus_beside
from textus.verbs.evaluate import evaluate, measure_texts, read_texts
from textus.verbs.generate import run_sampling
from textus.verbs.load import load
from textus.verbs.settings import kept_settings
from textus.verbs.train import RECORD

OWN_TOKENIZER: tuple[Metric, ...] = ("loss", "perplexity")
"""Metrics that mean something only beside those of the same tokenizer."""
PROMPTS, PROMPT_CHARACTERS, SAMPLE_TOKENS = 3, 80, 60
_LOOKED_AT = 100


@dataclass(frozen=True, eq=False)
class Contender:
    """A model that is compared, and what it cost."""

    name: str
    directory: Path
    evaluation: Evaluation
    parameters: int
    tokens_seen: int
    """Tokens it was trained on, repeats included; 0 where that is not known."""
    seconds: float
    """In training steps; 0 where that is not known."""
    samples: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        plain = {name: getattr(self, name) for name in ("name", "parameters", "tokens_seen", "seconds", "samples")}
        return {**plain, "directory": str(self.directory), "evaluation": self.evaluation.as_dict()}


@dataclass(frozen=True, eq=False)
class Compared:
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
        for number, prompt in enumerate(self.prompts):
            rows = tuple((model.name, model.samples[number]) for model in self.contenders)
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
                _verdict(one),
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
            "less. All of this is about which text was measured: another training seed would change the difference "
            "too, and nothing here says by how much (`textus ablate` trains on several)."
        )

    def _scores(self) -> Table:
        names = ("bits per byte", "±", "perplexity", "parameters", "tokens learnt", "seconds of training")
        rows = []
        for model in self.contenders:
            per_byte, perplexity = (model.evaluation.score(name) for name in ("bits_per_byte", "perplexity"))
            cost = (model.parameters, model.tokens_seen or "not known", round(model.seconds) or "not known")
            rows.append((model.name, per_byte.value, per_byte.error, perplexity.value, *cost))
        return Table(("model", *names), tuple(rows))

    def _notes(self) -> str:
        lines = [f"{model.name}: {note}" for model in self.contenders for note in model.evaluation.notes()]
        if len({model.evaluation.scores[0].tokenizer for model in self.contenders}) > 1:
            lines.append("the tokenizers differ: their perplexities are not to be compared")
        return "\n".join(lines)

    def _curves(self) -> Chart:
        """Draw validation losses in bits per byte, each of its own validation part, over the tokens learnt."""
        lines: dict[str, list[tuple[float, float]]] = {}
        for model in self.contenders:
            found, tokens = [], 0
            bytes_a_token = model.evaluation.num_bytes / model.evaluation.tokens
            for line in read_metrics(model.directory / METRICS):
                tokens += int(line.get("tokens", 0))
                if "validation_loss" in line:
                    found.append((float(tokens), line["validation_loss"] / math.log(2) / bytes_a_token))
            if found:
                lines[model.name] = found
        return Chart("Each on its own validation windows", "tokens learnt", "bits per byte, about", lines)


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
    or any number of another text. Texts that are given are read once, as the first model's own were.
    """
    if len(models) < 2:
        raise ConfigError("one model is no comparison", hint="name two or more: textus compare runs/a runs/b")
    opened = [one if isinstance(one, Checkpoint) else load(one, device=device) for one in models]
    names = _names([one.directory for one in opened])
    paths = [texts] if isinstance(texts, str | Path) else list(texts)
    if paths and split != "validation":
        raise ConfigError(f"texts were given, and the {split} part as well", hint="compare on one, then on the other")
    _refuse_other_kinds(names, opened)
    if metric in OWN_TOKENIZER:
        _refuse_other_tokenizers(names, opened, metric, paths)
    if paths:
        documents = read_texts(paths, kept_settings(opened[0].directory).corpus, progress)
        found = [measure_texts(one, documents, stride=stride, progress=progress) for one in opened]
    else:
        found = [evaluate(one, split=split, stride=stride, progress=progress) for one in opened]
        _refuse_other_texts(names, found, split)
        documents = _part(opened[0].directory, split)
    units = [one.units for one in found]
    prompts = _prompts(documents)
    contenders = tuple(
        _contender(name, one, evaluation, prompts) for name, one, evaluation in zip(names, opened, found, strict=True)
    )
    return Compared(
        metric=metric,
        contenders=contenders,
        comparisons=tuple(compare_pairs(*paired(units[0], other), metric) for other in units[1:]),
        prompts=prompts,
    )


def _names(directories: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that tell the models apart."""
    paths = [directory.resolve() for directory in directories]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ConfigError(f"{twice.name}: named twice", hint="compare different models")
    length = 1
    while len({path.parts[-length:] for path in paths}) < len(paths):
        length += 1
    return ["/".join(path.parts[-length:]) for path in paths]


def _refuse_other_kinds(names: Sequence[str], opened: Sequence[Checkpoint]) -> None:
    """Refuse to set likelihoods beside scores of models that read both ways, which are other numbers."""
    kinds = [(one.config.attention, one.config.prediction_offset) for one in opened]
    for name, kind in zip(names, kinds, strict=True):
        if kind != ("causal", 1):
            raise NotComparable(
                f"{name} reads both ways, and gives no likelihood of a text from left to right",
                hint="compare masked models by their pseudo-perplexity, or on tasks",
            )


def _refuse_other_tokenizers(
    names: Sequence[str], opened: Sequence[Checkpoint], metric: Metric, paths: Sequence[str | Path]
) -> None:
    for name, one in zip(names, opened, strict=True):
        if one.tokenizer.fingerprint != opened[0].tokenizer.fingerprint:
            where = "" if paths else " on the same texts"
            raise NotComparable(
                f"{name} and {names[0]} have different tokenizers: their {metric} is per token, and the tokens differ",
                hint=f"compare bits per byte{where}: --metric bits_per_byte{'' if paths else ' --texts TEXTS'}",
            )


def _refuse_other_texts(names: Sequence[str], found: Sequence[Evaluation], split: str) -> None:
    for name, one in zip(names, found, strict=True):
        if one.scores[0].data != found[0].scores[0].data:
            raise NotComparable(
                f"the {split} parts of {name} and {names[0]} are different texts",
                hint="compare bits per byte on the same bytes, which neither has learnt from: "
                "--metric bits_per_byte --texts TEXTS",
            )


def _part(directory: Path, split: str) -> list[Document]:
    corpus = corpus_beside(directory)
    name = next((name for name in corpus.splits if name == split), None) if corpus else None
    return list(itertools.islice(corpus.documents(name), _LOOKED_AT)) if corpus and name else []


def _prompts(documents: Sequence[Document]) -> tuple[str, ...]:
    """Return the beginnings of some documents, whole words."""
    long = [one.text for one in documents if len(one.text) > 2 * PROMPT_CHARACTERS]
    cut = (text[:PROMPT_CHARACTERS].rpartition(" ")[0] or text[:PROMPT_CHARACTERS] for text in long)
    return tuple(itertools.islice(dict.fromkeys(cut), PROMPTS))


def _contender(name: str, opened: Checkpoint, evaluation: Evaluation, prompts: Sequence[str]) -> Contender:
    try:
        record = storage.read_json(opened.directory / RECORD)
        tokens, seconds = int(record["tokens"]), float(record["seconds"])
    except (TextusError, KeyError, TypeError, ValueError):  # a model that was made elsewhere
        tokens, seconds = 0, 0.0
    parameters = opened.config.num_parameters()
    samples = tuple(_sample(opened, prompt) for prompt in prompts)
    return Contender(name, opened.directory, evaluation, parameters, tokens, seconds, samples)


def _sample(opened: Checkpoint, prompt: str) -> str:
    sampling = run_sampling(opened.directory)
    with torch.inference_mode():
        return complete(
            opened.model,
            opened.tokenizer,
            prompt,
            strategy_of(sampling, opened.tokenizer),
            max_tokens=min(sampling.max_tokens, SAMPLE_TOKENS),
            stop=sampling.stop,
            seed=sampling.seed,
        ).text


def _verdict(one: Comparison) -> str:
    if not one.is_told:
        return "not told from the first"
    return "worse" if one.difference > 0 else "better"
