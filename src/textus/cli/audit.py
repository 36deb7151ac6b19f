"""`textus audit verify`: find every line of a log of decisions that is not as it was written."""

from __future__ import annotations

from collections.abc import Sequence

from textus.cli.arguments import Parser, parse, show


def run(arguments: Sequence[str]) -> int:
    """Run the command; 1 where the log is not whole."""
    made = Parser(
        prog="textus audit",
        description="Read a log of decisions from its first line to its last; exit with 1 where it is not whole.",
    )
    made.add_argument("what", choices=("verify",), help="what to do with the log")
    made.add_argument("log", help="the directory that --audit was given")
    made.add_argument("--key-file", default="", metavar="FILE", help="the key that the log was written with")
    made.add_argument("--known", default="", metavar="HASH", help="the hash of a record that must be in it")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    from textus.verbs.audit import audit

    found = audit(options.log, key_file=options.key_file, known=options.known)
    lines = [*found.problems, *found.torn]
    state = "whole" if not found.problems else f"{len(found.problems)} problems"
    lines.append(
        f"{found.directory}: {found.records} records in {found.files} files: {state}; the last is {found.head}"
    )
    show(options, "\n".join(lines), found.as_dict())
    return 1 if found.problems else 0
