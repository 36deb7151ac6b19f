"""`textus evaluate`: perplexity and bits per byte, with standard errors."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.console import console


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(prog="textus evaluate", description="Measure a model on its validation part, or on other texts.")
    made.add_argument("model", help="a run or model directory")
    made.add_argument("texts", nargs="*", help="files and folders to measure on (default: the run's validation part)")
    made.add_argument(
        "--stride", type=int, default=0, metavar="TOKENS", help="new tokens a window (default: half of it)"
    )
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.evaluate import evaluate

    found = evaluate(
        options.model,
        options.texts,
        stride=options.stride or "auto",
        device=options.device,
        progress=console(),
    )
    lines = [
        *(str(score) for score in found.scores),
        f"{found.tokens:,} tokens, {found.num_bytes:,} bytes; {found.note}",
    ]
    show(options, "\n".join(lines), found.as_dict())
