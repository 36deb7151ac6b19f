"""`textus clean`: read, repair, deduplicate and split texts."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Read, repair, deduplicate and split texts into RUN/corpus, and say what was kept and dropped."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = stage_parser("clean", WORDS)
    made.add_argument("--rank", metavar="R", help="which of `world` equal commands this is, from 0 (corpus.work.rank)")
    made.add_argument("--world", metavar="W", help="how many such commands share the work (corpus.work.world)")
    options = parse(made, arguments)
    # The number of ranks first: a rank is held against it.
    options.items += [
        f"corpus.work.{name}={value}" for name in ("world", "rank") if (value := getattr(options, name)) is not None
    ]
    if stop_early(options):
        return
    from textus.verbs.clean import clean

    corpus = clean(settings=run_settings(options), progress=console())
    report = corpus.report()
    value = {
        "directory": str(corpus.directory),
        "fingerprint": corpus.fingerprint,
        "splits": {
            split: {"documents": corpus.count(split), "bytes": corpus.num_bytes(split)} for split in corpus.splits
        },
        "report": report.as_dict(),
    }
    show(options, f"{report.text()}\n\ncorpus: {corpus.directory}", value)
