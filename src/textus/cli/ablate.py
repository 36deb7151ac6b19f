"""`textus ablate`: what each step of the corpus stage is worth, measured on held-out text."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = (
    "Train small models with and without steps of the corpus stage, with the same tokens and steps, and compare them "
    "on one held-out text."
)


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = stage_parser("ablate", WORDS)
    made.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY[=VALUE],...",
        help="changes, each an arm, as corpus.deduplicate=none; a step without a value is left out; + joins changes",
    )
    made.add_argument("--minutes", type=float, default=2.0, help="time to train each model (default: 2)")
    made.add_argument("--seeds", type=int, default=3, metavar="N", help="models an arm (default: 3)")
    made.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="TEXTS",
        help="clean texts to measure on; repeatable (default: a share of the input, taken before any step)",
    )
    made.add_argument(
        "--held-out-mb", type=float, default=0.5, metavar="MB", help="measure on at most so much (default: 0.5)"
    )
    options = parse(made, arguments)
    if stop_early(options):
        return
    settings = run_settings(options)
    from textus.verbs.ablate import ablate

    found = ablate(
        vary=options.vary,
        held_out=options.held_out,
        held_out_mb=options.held_out_mb,
        minutes=options.minutes,
        seeds=options.seeds,
        settings=settings,
        progress=console(),
    )
    report = found.report()
    show(options, f"{report.text()}\n\nreport: {found.directory / 'report.html'}", found.as_dict())
