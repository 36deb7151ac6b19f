"""A finished run as a report: what it is worth, how it learnt, what it writes, and what it was made from."""

from __future__ import annotations

from typing import Any

from textus import config as settings_module
from textus.evaluation.estimate import leakage_words
from textus.report import Chart, Prose, Report, Section, Table
from textus.training.keep import METRICS
from textus.training.log import read_metrics
from textus.training.plan import Plan
from textus.verbs.measures import Measures
from textus.verbs.stages import Stages

_HIDDEN = (
    "Loss and accuracy on hidden tokens are of 15 % of the text, hidden one by one and guessed from both sides: they "
    "can be compared between models with the same tokenizer on the same text, and never with a perplexity or with bits "
    "per byte, which are of guesses from one side."
)
_BOUND = (
    "The bound is on bits per byte that a likelihood of the text would have: what it bounds is not more, the ends of "
    "documents given."
)


def summary(stages: Stages, plan: Plan, state: dict[str, Any], measures: Measures) -> Report:
    """Return the report of a run."""
    corpus = stages.corpus.report()
    sections: list[tuple[str, Section]] = [
        ("Scores on the validation part", Table.of_scores(measures.scores)),
        ("What these mean", Prose(_meaning(measures))),
        ("Beside other models of the same text", _baselines(measures)),
        ("What the others had seen", Prose(_given(measures))),
        ("Loss", _curve(stages)),
        *((f"Sample {number}", Prose(text, verbatim=True)) for number, text in enumerate(measures.samples, 1)),
        ("Plan", plan.table()),
        ("What it took", _cost(plan, state)),
        *((f"Corpus: {name}", section) for name, section in corpus.sections),
        ("Settings", Prose(settings_module.to_toml(stages.settings, explain=False), verbatim=True)),
    ]
    return Report(f"Textus run {stages.directory.name}", tuple(sections))


def _meaning(measures: Measures) -> str:
    names = {score.name for score in measures.scores}
    words = [_HIDDEN] if "masked_loss" in names else []
    if "bits_per_byte_bound" in names:
        words.append(_BOUND)
    if "bits_per_byte" not in names:
        return " ".join([*words, f"In all: {measures.note}."])
    return " ".join([_causal_meaning(measures), *words])


def _causal_meaning(measures: Measures) -> str:
    return (
        "Perplexity can be compared only between models with the same tokenizer on the same text; bits per byte "
        "between all models of the same text. Every byte of the validation part is predicted once, the end of each "
        f"document too, from at least the {measures.stride} tokens before it where the document has them; "
        f"{measures.note}; {leakage_words(measures.leakage)}."
    )


def _baselines(measures: Measures) -> Table:
    details = measures.baselines["details"]
    names = {"xz": "xz -9e", "bzip2": "bzip2 -9", "zstd": "zstd -19 --long", "ngram": "5-gram, Kneser-Ney"}
    mine = {score.name: score.value for score in measures.scores}
    rows: list[tuple[Any, ...]] = []
    if "bits_per_byte" in mine:
        rows.append(("this model", mine["bits_per_byte"], ""))
    elif "bits_per_byte_bound" in mine:
        rows.append(("this model, at most", mine["bits_per_byte_bound"], ""))
    rows += [(words, measures.baselines[name], details.get(f"{name}_alone", "")) for name, words in names.items()]
    return Table(("bits per byte", "after training text", "validation text alone"), tuple(rows))


def _given(measures: Measures) -> str:
    """Say what each of the other models had seen."""
    details = measures.baselines["details"]
    return (
        f"Each compressor had read the last {details['compressor_context_bytes'] / 1e6:,.2f} MB of the training text, "
        f"and what {details['validation_bytes'] / 1e6:,.2f} MB of validation text then add to its output is counted; "
        f"the 5-gram model has counted {details['ngram_tokens']:,} training tokens at most."
    )


def _curve(stages: Stages) -> Chart:
    lines = read_metrics(stages.directory / METRICS)
    return Chart(
        "Loss in training and on validation windows",
        "step",
        "nats per token",
        {
            "training": [(line["step"], line["loss"]) for line in lines if "loss" in line],
            "validation": [(line["step"], line["validation_loss"]) for line in lines if "validation_loss" in line],
        },
    )


def _cost(plan: Plan, state: dict[str, Any]) -> Table:
    read = state["steps"] * plan.recipe.rows(plan.model.context_length) * plan.model.context_length
    return Table.of(
        {
            "steps": state["steps"],
            "tokens asked": state["tokens"],
            "seconds in steps": round(state["seconds"], 1),
            "tokens read a second": round(read / state["seconds"]) if state["seconds"] else 0,
            "peak memory, MiB": round(state["peak_memory_bytes"] / 2**20),
            "planned memory, MiB": round(plan.memory_bytes / 2**20),
            "weights of step": state["chosen_step"],
            "updates left out": len(state["left_out"]),
        }
    )
