"""`textus embed`: vectors for texts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Literal

from textus.cli.arguments import Parser, parse, show
from textus.cli.lines import given


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(prog="textus embed", description="Turn texts into vectors of length 1, a line of numbers each.")
    made.add_argument("model", help="a run or model directory")
    made.add_argument("texts", nargs="+", metavar="TEXT", help="texts (-: one from each line of stdin)")
    made.add_argument(
        "--pooling",
        choices=("auto", "mean", "cls", "last"),
        default="auto",
        help="the mean of all states, the first, or the last (default: what it was adapted with, else the mean)",
    )
    made.add_argument(
        "--dimensions", type=_dimensions, default="all", metavar="N", help="keep the first N numbers (default: all)"
    )
    made.add_argument("--raw", action="store_true", help="leave vectors as long as they are")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.embed import embed, pooling_of
    from textus.verbs.load import load

    opened = load(options.model, device=options.device)
    pooling = pooling_of(opened) if options.pooling == "auto" else options.pooling
    vectors = embed(
        opened,
        given(options.texts),
        pooling=pooling,
        dimensions=options.dimensions,
        normalise=not options.raw,
    )
    lines = (" ".join(f"{number:.6g}" for number in vector) for vector in vectors.tolist())
    value = {"embeddings": vectors.tolist(), "dimensions": vectors.shape[1], "pooling": pooling}
    show(options, "\n".join(lines), value)


def _dimensions(text: str) -> int | Literal["all"]:
    if text == "all":
        return "all"
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a number, or all; got {text!r}") from None
