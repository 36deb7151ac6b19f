"""`textus moderate`: judge texts under a policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textus.cli.arguments import Parser, parse, show
from textus.cli.lines import given
from textus.errors import ConfigError


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(_parser(), arguments)
    from textus.safety import policy as policies

    if options.show:
        if options.policy != policies.DEFAULT:
            policies.load(options.policy)
        text = (
            policies.default_text() if options.policy == policies.DEFAULT else Path(options.policy).read_text("utf-8")
        )
        show(options, text.rstrip("\n"), {"policy": text})
        return
    texts = _texts(options.texts)
    from textus.verbs.moderate import moderate

    found = moderate(
        texts, options.policy, guard=options.guard, side=options.side, audit=_log(options), device=options.device
    )
    show(options, "\n\n".join(map(_words, found)), {"verdicts": [verdict.as_dict() for verdict in found]})


def _parser() -> Parser:
    made = Parser(
        prog="textus moderate",
        description="Judge texts: what is found in them, where, and what may go on. Rules alone, or with a classifier.",
    )
    made.add_argument(
        "texts", nargs="*", metavar="TEXT | FILE.jsonl", help='texts, or files with {"text": ...} a line (-: stdin)'
    )
    made.add_argument("--policy", default="default", metavar="FILE", help="what is done with what (TOML)")
    made.add_argument(
        "--guard",
        default="",
        metavar="DIR",
        help="a classifier: a model adapted by --method moderate, or words that textus.safety.lexical has learnt",
    )
    made.add_argument(
        "--side", choices=("input", "output"), default="input", help="which table of the policy holds (default: input)"
    )
    made.add_argument("--audit", default="", metavar="DIR", help="log every decision there; `textus audit verify`")
    made.add_argument("--audit-key", default="", metavar="FILE", help="a key without which no log can be made anew")
    made.add_argument("--audit-raw", action="store_true", help="keep the texts in the log too, not their hashes alone")
    made.add_argument("--print", action="store_true", dest="show", help="print the policy and stop")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def _texts(words: Sequence[str]) -> list[str]:
    from textus.verbs import jsonl

    if not words:
        raise ConfigError("no text was given", hint='textus moderate "TEXT", a file.jsonl, or - for stdin')
    found: list[str] = []
    for word in words:
        if word.endswith(".jsonl"):
            found += [value["text"] for value in jsonl.read(Path(word), ("text",), '{"text": "..."}')]
        else:
            found += given([word])
    return found


def _log(options: argparse.Namespace) -> Any:
    if not options.audit:
        if options.audit_key or options.audit_raw:
            raise ConfigError("no log was named", hint="say where with --audit DIR")
        return None
    from textus.safety.audit import Audit
    from textus.verbs.audit import key_of

    return Audit(options.audit, key=key_of(options.audit_key), raw=options.audit_raw)


def _words(verdict: Any) -> str:
    lines = [str(verdict)]
    lines += [
        f"  {span.start}-{span.end} {span.category}" + (f" ({span.rule})" if span.rule else "")
        for span in verdict.spans
    ]
    lines += [f"  broken: {error}" for error in verdict.errors]
    return "\n".join([*lines, verdict.text] if verdict.text else lines)
