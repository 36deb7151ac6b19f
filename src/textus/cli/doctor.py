"""`textus doctor`: is all well with the machine and the installation."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show
from textus.cli.console import console


def run(arguments: Sequence[str]) -> int:
    """Run the command; 1 where something failed."""
    made = Parser(
        prog="textus doctor",
        description="Look at versions, device, memory and disk, and clean, train and write once in small; 20 seconds.",
    )
    made.add_argument("--no-self-test", action="store_true", help="only look")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.doctor import doctor

    found = doctor(self_test=not options.no_self_test, progress=console())
    show(options, str(found), found.as_dict())
    return 0 if found.healthy else 1
