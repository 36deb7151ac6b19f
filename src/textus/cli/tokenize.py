"""`textus tokenize`: learn the vocabulary of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Learn a byte-level BPE vocabulary from the training part of the texts, into RUN/tokenizer."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(stage_parser("tokenize", WORDS), arguments)
    if stop_early(options):
        return
    settings = run_settings(options)
    from textus.verbs.inspect import tokenizer_report
    from textus.verbs.tokenize import tokenize

    tokenizer = tokenize(settings=settings, progress=console())
    report = tokenizer_report(tokenizer, settings.directory)
    value = {"directory": str(settings.directory / "tokenizer"), **report.as_dict()["sections"]}
    show(options, f"{report.text()}\n\ntokenizer: {settings.directory / 'tokenizer'}", value)
