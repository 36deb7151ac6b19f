"""`textus score`: how likely texts are to a model."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.lines import given


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus score",
        description="Sum ln p over the tokens of each text: from left to right, or with each token hidden in turn.",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument("texts", nargs="+", metavar="TEXT", help="texts to score (-: one from each line of stdin)")
    made.add_argument(
        "--method",
        choices=("auto", "causal", "word-l2r", "original"),
        default="auto",
        help="causal; word-l2r: a token and the later pieces of its word hidden; original: the token alone "
        "(default: causal where the model reads so, else word-l2r)",
    )
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.score import score

    found = score(options.model, given(options.texts), method=options.method, device=options.device)
    lines = [f"{one.total:10.3f} nats  {len(one.tokens):4d} tokens  {one.text}" for one in found]
    lines.append(f"{found[0].name.replace('_', ' ')}: to be compared with others of this name and model only")
    show(options, "\n".join(lines), {"texts": [one.as_dict() for one in found]})
