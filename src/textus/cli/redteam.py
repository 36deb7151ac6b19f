"""`textus redteam`: attack a model and its guard, look for leaks, and write a safety card."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.console import console
from textus.errors import ConfigError


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus redteam",
        description="Try suites of attacks and of harmless texts on a model and its guard, look for leaks of what it "
        "was trained on, and leave a safety card beside the model.",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument(
        "--suite", action="append", default=[], metavar="FILE", help="texts to try, in their authors' form; repeatable"
    )
    made.add_argument("--policy", default="default", metavar="FILE", help="the guard's policy (TOML)")
    made.add_argument("--guard", default="", metavar="DIR", help="the guard's classifier")
    made.add_argument(
        "--floor",
        action="append",
        default=[],
        metavar="FILE",
        help="learn a classifier of words from it, to be beaten",
    )
    made.add_argument("--canaries", default="", metavar="FILE", help="planted secrets: JSONL with prefix and secret")
    made.add_argument("--answers", action="store_true", help="let the model answer every text, too")
    made.add_argument("--before", default="", metavar="DIR", help="the model that it was made of: what has changed?")
    made.add_argument(
        "--texts", action="append", default=[], metavar="PATH", help="with --before: bits per byte of both; repeatable"
    )
    made.add_argument("--samples", type=int, default=20, metavar="N", help="texts to write, to look for personal data")
    made.add_argument("--limit", type=int, default=0, metavar="N", help="take only N texts of each suite")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    for name in ("samples", "limit"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name} is {getattr(options, name)}", hint="give 0 or more")
    from textus.verbs.redteam import redteam

    found = redteam(
        options.model,
        options.suite,
        options.policy,
        guard=options.guard,
        floor=options.floor,
        canaries=options.canaries,
        answers=options.answers,
        samples=options.samples,
        limit=options.limit,
        before=options.before,
        texts=options.texts,
        progress=console(),
    )
    show(options, found.report.text(), found.as_dict())
