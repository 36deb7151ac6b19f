"""`textus train`: texts in, a measured model out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textus.cli.arguments import parse, run_settings, say, show, stage_parser, stop_early
from textus.cli.console import console

if TYPE_CHECKING:
    from textus.verbs.train import TrainResult

WORDS = "Clean, tokenize, pack, train, evaluate and report; what is already made is not made again."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(stage_parser("train", WORDS), arguments)
    if stop_early(options):
        return
    settings = run_settings(options)
    from textus.training.distributed import follows
    from textus.verbs.train import train

    if follows():
        train(settings=settings)  # the first process of the run speaks for all
        return
    result = train(settings=settings, progress=console(), on_plan=lambda plan: say(f"\n{plan.text()}\n"))
    show(options, tell(result), result.as_dict())


def tell(result: TrainResult) -> str:
    """Say what a run came to: its scores, the models beside it, its samples, and what to do next."""
    sections = dict(result.report.sections)
    parts = [sections[name].text() for name in list(sections)[:4]]
    parts += [f"sample {number}\n{sample.strip()}" for number, sample in enumerate(result.samples, 1)]
    place = result.directory
    writes = any(score.name == "bits_per_byte" for score in result.scores)
    following = f'generate {place} "Once upon a time"' if writes else f'fill {place} "It was a <mask> day."'
    parts.append(f"report: {place / 'report.html'}\nnext:   textus {following}")
    return "\n\n".join(parts)
