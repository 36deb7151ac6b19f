"""`textus demo`: the first three minutes."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, override_items, parse, say, show
from textus.cli.console import console


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus demo",
        description="Train a model on text that came with the installation, measure it, and let it write.",
    )
    made.add_argument("items", nargs="*", metavar="key=value", help="settings, for example training.minutes=5")
    made.add_argument(
        "--corpus",
        choices=("sotu", "python"),
        default="sotu",
        help="the State of the Union addresses (default), or this Python's own documentation and sources",
    )
    made.add_argument(
        "--objective",
        choices=("causal", "masked", "hybrid", "diffusion"),
        default="causal",
        help="what is predicted: the next token (default), hidden ones, or both",
    )
    made.add_argument("-o", "--out", default="", metavar="DIR", help="the run's directory (default: runs/demo)")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.cli.train import tell
    from textus.training.distributed import follows
    from textus.verbs.demo import demo, demo_settings

    settings = override_items(demo_settings(options.corpus, options.objective), options.items)
    if follows():
        demo(options.corpus, out=options.out, settings=settings)  # the first process of the run speaks for all
        return
    result = demo(
        options.corpus,
        out=options.out,
        settings=settings,
        progress=console(),
        on_plan=lambda plan: say(f"\n{plan.text()}\n"),
    )
    show(options, tell(result), result.as_dict())
