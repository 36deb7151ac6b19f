"""`textus fill`: the likeliest words for the blanks in a text, or more text behind it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Literal

from textus.cli.arguments import Parser, parse, show
from textus.errors import ConfigError


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus fill",
        description="Fill each <mask> in a text, with a model that reads both ways (objective.name=masked or hybrid).",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument("text", help='a text with blanks: "The capital of <mask> is Paris."')
    made.add_argument("--top-k", type=int, default=5, metavar="K", help="candidates for each blank (default: 5)")
    made.add_argument(
        "--write",
        type=int,
        default=0,
        metavar="N",
        help="write N tokens behind the text, in any order, the surest first",
    )
    made.add_argument(
        "--steps", type=_steps, default="auto", metavar="N", help="with --write: in N steps (default: one a token)"
    )
    made.add_argument(
        "--temperature", type=float, default=0.0, metavar="X", help="with --write: 0 takes the likeliest (default)"
    )
    made.add_argument("--seed", type=int, default=0, metavar="N", help="with --write: the same seed, the same text")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    if options.write < 0:
        raise ConfigError(f"--write is {options.write}", hint="give the number of tokens to write")
    if options.write:
        _write(options)
        return
    for name, usual in (("steps", "auto"), ("temperature", 0.0), ("seed", 0)):
        if getattr(options, name) != usual:
            raise ConfigError(f"--{name} is for --write, and blanks are filled without chance", hint="leave it out")
    from textus.verbs.fill import fill

    found = fill(options.model, options.text, top_k=options.top_k, device=options.device)
    lines = [found.text]
    for number, blank in enumerate(found.blanks, 1):
        lines.append(f"\nblank {number}")
        lines += [f"{candidate.probability:8.4f}  {candidate.token!r}" for candidate in blank]
    show(options, "\n".join(lines), found.as_dict())


def _write(options: argparse.Namespace) -> None:
    from textus.verbs.fill import write

    text = write(
        options.model,
        options.text,
        options.write,
        steps=options.steps,
        temperature=options.temperature,
        seed=options.seed,
        device=options.device,
    )
    show(options, text, {"text": text})


def _steps(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a number of steps, or auto; got {text!r}") from None
