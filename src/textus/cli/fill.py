"""`textus fill`: the likeliest words for the blanks in a text."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus fill",
        description="Fill each <mask> in a text, with a model that reads both ways (objective.name=masked or hybrid).",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument("text", help='a text with blanks: "The capital of <mask> is Paris."')
    made.add_argument("--top-k", type=int, default=5, metavar="K", help="candidates for each blank (default: 5)")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.fill import fill

    found = fill(options.model, options.text, top_k=options.top_k, device=options.device)
    lines = [found.text]
    for number, blank in enumerate(found.blanks, 1):
        lines.append(f"\nblank {number}")
        lines += [f"{candidate.probability:8.4f}  {candidate.token!r}" for candidate in blank]
    show(options, "\n".join(lines), found.as_dict())
