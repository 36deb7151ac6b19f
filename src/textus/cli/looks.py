"""What `textus evaluate` shows besides the scores: context, calibration, surprise, probes, parts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textus.cli.arguments import Parser, show
from textus.cli.console import console
from textus.errors import ConfigError

if TYPE_CHECKING:
    from textus.checkpoint.checkpoint import Checkpoint
    from textus.corpus.config import CorpusConfig
    from textus.evaluation.estimate import Evaluation
    from textus.evaluation.parts import Parts
    from textus.report import Report

LOOKS = ("context", "calibration", "surprise", "probe")
"""Options of which one is given at a time."""


def add(made: Parser) -> None:
    """Add the options."""
    made.add_argument("--by", choices=("source", "document"), default="", help="add the scores of each, hardest first")
    made.add_argument(
        "--context", type=_lengths, default=(), metavar="LENGTHS",
        help="measure what context buys and costs instead: windows of 256,1024,... tokens on the same targets",
    )  # fmt: skip
    made.add_argument(
        "--extrapolate", action="store_true", help="with --context: beyond what the model has learnt to read, too"
    )
    made.add_argument(
        "--calibration", action="store_true", help="measure instead whether the model is right as often as it is sure"
    )
    made.add_argument(
        "--surprise", default="", metavar="PAGE", help="write a page instead that colours tokens by their surprise"
    )
    made.add_argument(
        "--probe", default="", metavar="FILE",
        help="fit a linear classifier to the frozen states instead, for the labelled texts of a JSONL file",
    )  # fmt: skip
    made.add_argument("--probe-test", default="", metavar="FILE", help="labelled texts to test the probe on")
    made.add_argument("--labels", default="auto", metavar="COLUMN", help="with --probe: where labels or tags stand")
    made.add_argument("--report", default="", metavar="FILE", help="write what is shown as an HTML page, with plots")


def check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    given = [f"--{name}" for name in LOOKS if getattr(options, name)] + ["--task"] * bool(options.tasks)
    if len(given) > 1:
        raise ConfigError(f"{given[0]} and {given[1]} are two measurements", hint="ask for one, then for the other")
    needed = {
        "--extrapolate": ("--context", options.extrapolate),
        "--probe-test": ("--probe", options.probe_test),
        "--labels": ("--probe", options.labels != "auto"),
    }
    for name, (other, is_given) in needed.items():
        if is_given and other not in given:
            raise ConfigError(f"{name} says something about {other} only", hint=f"add {other}")
    if options.stride != "auto" and any(name not in ("--calibration", "--task") for name in given):
        raise ConfigError(f"--stride is about the scores, and {given[0]} has its own", hint="leave one of them out")
    if options.probe and (options.items or options.split != "validation"):
        what = options.items[0] if options.items else f"--split {options.split}"
        raise ConfigError(f"{what}: --probe reads labelled texts alone", hint="name them by --probe and --probe-test")
    if options.by and given:
        raise ConfigError(f"--by is about the scores, and {given[0]} shows others", hint="leave one of them out")


def asked(options: argparse.Namespace) -> bool:
    """Tell whether something else than the scores is asked for."""
    return any(getattr(options, name) for name in LOOKS)


def run(options: argparse.Namespace, opened: Checkpoint, texts: Sequence[str], config: CorpusConfig) -> None:
    """Measure and show it."""
    where: dict[str, Any] = {"split": options.split, "device": options.device, "config": config, "progress": console()}
    if options.context:
        from textus.verbs.evaluate_contexts import evaluate_contexts

        contexts = evaluate_contexts(opened, options.context, texts, extrapolate=options.extrapolate, **where)
        _show(options, contexts.report(), contexts.as_dict())
    elif options.calibration:
        from textus.evaluation.calibration import report
        from textus.verbs.calibration import calibration

        found = calibration(opened, texts, stride=options.stride, **where)
        scores = [score.as_dict() for one in found for score in one.scores]
        _show(options, report(found), {"scores": scores, "calibrations": [one.as_dict() for one in found]})
    elif options.surprise:
        _surprise(options, opened, texts, where)
    else:
        _probe(options, opened)


def _surprise(options: argparse.Namespace, opened: Checkpoint, texts: Sequence[str], where: dict[str, Any]) -> None:
    from textus.evaluation.surprise_page import page, summary
    from textus.verbs.surprise import surprise

    found = surprise(opened, texts, page=options.surprise, **where)
    values = {"page": options.surprise, **found.as_dict(opened.tokenizer)}
    if options.report:
        _write(options, page(found, opened.tokenizer, Path(options.model).name))
    show(options, summary(found, opened.tokenizer).text(), values)


def _probe(options: argparse.Namespace, opened: Checkpoint) -> None:
    from textus.verbs.probe import probe

    found = probe(
        opened, options.probe, options.probe_test, column=options.labels, device=options.device, progress=console()
    )
    _show(options, found.report(), found.as_dict())


def write_scores(options: argparse.Namespace, found: Evaluation, parts: Parts | None) -> None:
    """Write the page of the scores where one is asked for."""
    if not options.report:
        return
    from textus.report import Report

    sections = (*found.report().sections, *(parts.report().sections if parts else ()))
    _write(options, Report(f"Evaluation of {Path(options.model).name}", sections))


def write_words(options: argparse.Namespace, words: str) -> None:
    """Write a page of what a terminal shows where one is asked for."""
    from textus.report import Prose, Report

    _write(options, Report(f"Evaluation of {Path(options.model).name}", (("Scores", Prose(words, verbatim=True)),)))


def _show(options: argparse.Namespace, report: Report, values: dict[str, Any]) -> None:
    _write(options, report)
    show(options, report.text(), values)


def _write(options: argparse.Namespace, report: Report) -> None:
    if options.report:
        from textus import storage

        storage.write_text(Path(options.report), report.html())


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"give lengths divided by commas, as in 256,1024; got {text!r}") from None
