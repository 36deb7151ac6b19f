"""`textus watermark detect`: tell whether texts were written with a key."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.lines import given


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus watermark",
        description="Say how likely texts would be to look so marked if they were not: the p-value is exact. A model "
        "marks what it writes with `textus generate --watermark KEYFILE`.",
    )
    made.add_argument("what", choices=("detect",), help="what to do with the mark")
    made.add_argument("model", help="the directory of the model, or of its tokenizer")
    made.add_argument("texts", nargs="+", metavar="TEXT", help="texts to look at (-: stdin, a text a line)")
    made.add_argument("--key", required=True, metavar="FILE", help="the key that they may have been written with")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.watermark import watermark

    found = watermark(options.model, given(options.texts), key=options.key)
    words = [f"p = {mark.p_value:.3g} ({mark.counted} of {mark.tokens} tokens counted)" for mark in found]
    show(options, "\n".join(words), {"marks": [mark.as_dict() for mark in found]})
