"""`textus clean`: read, repair, deduplicate and split texts."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Read, repair, deduplicate and split texts into RUN/corpus, and say what was kept and dropped."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(stage_parser("clean", WORDS), arguments)
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
