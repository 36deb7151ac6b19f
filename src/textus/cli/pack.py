"""`textus pack`: turn a corpus into token shards, and show the windows that are cut from them."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Turn the texts into memory-mapped token shards in RUN/shards; windows are cut from them while training."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(stage_parser("pack", WORDS), arguments)
    if stop_early(options):
        return
    from textus.verbs.inspect import shards_report
    from textus.verbs.pack import pack

    shards = pack(settings=run_settings(options), progress=console())
    report = shards_report(shards)
    value = {"directory": str(shards.directory), "fingerprint": shards.fingerprint, **report.as_dict()["sections"]}
    show(options, f"{report.text()}\n\nshards: {shards.directory}", value)
