"""`textus compare`: models side by side on the same text, with what the difference is worth."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.console import console


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus compare",
        description="Compare models with the first of them, document by document, on their common validation part or "
        "on texts that you name.",
    )
    made.add_argument("models", nargs="+", metavar="MODEL", help="run or model directories, the first to compare with")
    made.add_argument(
        "--texts", action="append", default=[], metavar="TEXTS", help="files or folders to compare on; repeatable"
    )
    made.add_argument(
        "--split", default="validation", metavar="PART", help="part of the runs' corpora: validation, test"
    )
    made.add_argument(
        "--metric",
        choices=("perplexity", "loss", "bits_per_byte", "masked_loss", "bits_per_byte_bound"),
        default="perplexity",
        help="what to compare (default: perplexity; of other tokenizers only bits_per_byte; of models that read both "
        "ways masked_loss, or beside causal ones bits_per_byte_bound)",
    )
    made.add_argument("--report", default="", metavar="FILE", help="write an HTML report with curves and samples")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from pathlib import Path

    from textus import storage
    from textus.verbs.compare import compare

    found = compare(
        options.models,
        options.texts,
        split=options.split,
        metric=options.metric,
        device=options.device,
        progress=console(),
    )
    report = found.report()
    if options.report:
        storage.write_text(Path(options.report), report.html())
    show(options, report.text(), found.as_dict())
