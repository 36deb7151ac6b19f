"""`textus tokenize`: learn the vocabulary of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console

WORDS = "Learn a byte-level BPE vocabulary from the training part of the texts, into RUN/tokenizer."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = stage_parser("tokenize", WORDS)
    made.add_argument(
        "--vocab-size",
        metavar="N",
        help="short for tokenizer.vocab_size=N; auto measures several sizes (tokenizer.vocab_size=measured)",
    )
    options = parse(made, arguments)
    if options.vocab_size is not None:
        size = "measured" if options.vocab_size == "auto" else options.vocab_size
        options.items.append(f"tokenizer.vocab_size={size}")
    if stop_early(options):
        return
    settings = run_settings(options)
    from textus.verbs.inspect_tokenizer import tokenizer_report
    from textus.verbs.tokenize import tokenize

    tokenizer = tokenize(settings=settings, progress=console())
    report = tokenizer_report(tokenizer, settings.directory / "tokenizer")
    value = {"directory": str(settings.directory / "tokenizer"), **report.as_dict()["sections"]}
    show(options, f"{report.text()}\n\ntokenizer: {settings.directory / 'tokenizer'}", value)
