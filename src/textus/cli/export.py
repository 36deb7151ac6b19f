"""`textus export`: a model for another engine."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.console import console


def parser() -> Parser:
    """Return the command's parser."""
    made = Parser(
        prog="textus export",
        description="Write a model for another engine, and say what that costs in bits per byte.",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument(
        "texts", nargs="*", metavar="TEXTS", help="what to measure on (default: the run's validation part)"
    )
    made.add_argument(
        "--to",
        required=True,
        metavar="FORMAT",
        help="gguf (llama.cpp), onnx (ONNX Runtime), or card (the model's README.md)",
    )
    made.add_argument(
        "-o",
        "--out",
        default="",
        metavar="FILE",
        help="default: exports/NAME-TYPE.FORMAT in the model's directory; card: README.md there",
    )
    made.add_argument(
        "--type",
        default="default",
        metavar="TYPE",
        help="gguf: f16 (default), f32 or q8_0; onnx: f32 (default) or int8",
    )
    made.add_argument("--no-measure", action="store_true", help="write the file, and measure nothing")
    made.add_argument("--licence", default="", metavar="ID", help="card: the licence that you give the model")
    made.add_argument(
        "--watts", type=float, default=0.0, metavar="W", help="card: what the machine drew (default: assumed by device)"
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(parser(), arguments)
    from textus.verbs.export import export

    found = export(
        options.model,
        options.texts,
        to=options.to,
        out=options.out,
        type=options.type,
        measure=not options.no_measure,
        licence=options.licence,
        watts=options.watts,
        progress=console(),
    )
    show(options, str(found), found.as_dict())
