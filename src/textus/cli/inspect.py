"""`textus inspect`: see what is in an artefact, as text."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus inspect",
        description="Show a run, corpus, tokenizer, shards or model directory; a window as token | label; a document.",
    )
    made.add_argument("path", help="a run's directory, or a part of it")
    made.add_argument("--window", type=int, metavar="N", help="show training window N, as it is asked")
    made.add_argument("--document", type=int, metavar="N", help="show document N of the corpus")
    made.add_argument(
        "--split",
        default="train",
        metavar="PART",
        help="train (default), validation, test, or read: all that were read, with what was decided",
    )
    made.add_argument("--search", default="", metavar="WORDS", help="list documents that hold WORDS, dropped ones too")
    made.add_argument(
        "--compare", action="append", default=[], metavar="OTHER", help="a tokenizer to set beside this one; repeatable"
    )
    made.add_argument(
        "--leaks", action="store_true", help="prove that the model sees what it may see, and nothing else"
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.inspect import inspect

    report = inspect(
        options.path,
        window=options.window,
        document=options.document,
        split=options.split,
        search=options.search,
        compare=options.compare,
        leaks=options.leaks,
    )
    show(options, report.text(), report.as_dict())
