"""`textus plan`: say what would be trained, how long it takes and what memory it needs."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Make the stages before training, measure this machine, and print the plan that `textus train` would follow."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(stage_parser("plan", WORDS), arguments)
    if stop_early(options):
        return
    settings = run_settings(options)
    from textus.verbs.plan import plan

    made = plan(settings=settings, progress=console())
    show(options, made.text(), made.as_dict())
