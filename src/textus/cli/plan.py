"""`textus plan`: say what would be trained, how long it takes and what memory it needs."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import parse, run_settings, show, stage_parser, stop_early
from textus.cli.console import console
from textus.errors import ConfigError

WORDS = "Make the stages before training, measure this machine, and print the plan that `textus train` would follow."


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    parser = stage_parser("plan", WORDS)
    parser.add_argument(
        "--context",
        default="",
        metavar="N,N,...",
        help="instead, a table of what training the planned model would cost in each of these contexts",
    )
    parser.add_argument("--measure", action="store_true", help="with --context: try a few steps in each, too")
    options = parse(parser, arguments)
    if stop_early(options):
        return
    contexts = _lengths(options.context)
    if options.measure and not contexts:
        raise ConfigError("textus plan: --measure without --context", hint="for example --context 256,1024 --measure")
    settings = run_settings(options)
    if contexts:
        from textus.verbs.contexts import plan_contexts

        costs = plan_contexts(contexts=contexts, measure=options.measure, settings=settings, progress=console())
        show(options, costs.text(), costs.as_dict())
        return
    from textus.verbs.plan import plan

    made = plan(settings=settings, progress=console())
    show(options, made.text(), made.as_dict())


def _lengths(words: str) -> list[int]:
    """Read whole numbers with commas between them."""
    try:
        return [int(word) for word in words.split(",") if word.strip()]
    except ValueError:
        raise ConfigError(
            f"textus plan: --context `{words}` is no list of whole numbers", hint="for example --context 1024,4096"
        ) from None
