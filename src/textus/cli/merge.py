"""`textus merge`: make one model of several."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.console import console
from textus.errors import ConfigError

METHODS = ("uniform", "linear", "slerp", "ema")


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus merge",
        description="Make one model of several that have one shape and one vocabulary, and measure it beside them.",
    )
    made.add_argument("models", nargs="+", help="model directories; one run under way stands for its checkpoints")
    made.add_argument("-o", "--out", default="", metavar="DIR", help="the new model's directory; must be given")
    made.add_argument("--method", choices=METHODS, default="uniform", help="how (default: uniform, the mean)")
    made.add_argument("--weights", default="", metavar="A,B,...", help="linear: what each model counts")
    made.add_argument("--at", type=float, default=0.5, metavar="T", help="slerp: where between two models, 0 to 1")
    made.add_argument("--decay", type=float, default=0.9, metavar="D", help="ema: what a model counts beside the next")
    made.add_argument("--texts", nargs="+", default=[], metavar="PATH", help="measure all models on these texts")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    if not options.out:
        raise ConfigError("no directory for the new model", hint="textus merge A B -o runs/merged")
    weights = _numbers(options.weights)
    from textus.verbs.merge import merge

    found = merge(
        options.models,
        options.out,
        method=options.method,
        weights=weights,
        at=options.at,
        decay=options.decay,
        texts=options.texts,
        progress=console(),
    )
    show(options, f"{found.report.text()}\n\nmodel: {found.model.directory}", found.as_dict())


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(","))) if text else ()
    except ValueError:
        raise ConfigError(f"--weights {text}: not numbers", hint="as in --weights 0.7,0.3") from None
