"""`textus clean`: read, repair, deduplicate and split texts."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Read, repair, deduplicate and split texts into RUN/corpus, and say what was kept and dropped."

_EXAMPLES = 2
"""Of each reason, on a screen."""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = stage_parser("clean", WORDS)
    made.add_argument("--rank", metavar="R", help="which of `world` equal commands this is, from 0 (corpus.work.rank)")
    made.add_argument("--world", metavar="W", help="how many such commands share the work (corpus.work.world)")
    options = parse(made, arguments)
    options.items += [
        f"corpus.work.{name}={value}" for name in ("rank", "world") if (value := getattr(options, name)) is not None
    ]
    if stop_early(options):
        return
    from textus.verbs.clean import REPORT, clean

    corpus = clean(settings=run_settings(options), progress=console())
    report, page = corpus.report(), corpus.directory.with_name(REPORT)
    value = {
        "directory": str(corpus.directory),
        "fingerprint": corpus.fingerprint,
        "splits": {
            split: {"documents": corpus.count(split), "bytes": corpus.num_bytes(split)} for split in corpus.splits
        },
        "report": report.as_dict(),
    }
    words = f"corpus: {corpus.directory}\nreport: {page}, with up to twenty examples of each reason"
    show(options, f"{corpus.report(_EXAMPLES).text()}\n\n{words}", value)
