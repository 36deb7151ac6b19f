"""`textus serve`: models behind OpenAI's API."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.cli.arguments import Parser, as_json, describe_settings, listed_settings, parse, show
from textus.errors import ConfigError


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(_parser(), arguments)
    from textus.serving.config import Limits

    if options.limits:
        show(options, describe_settings(Limits), {"settings": listed_settings(Limits)})
        return
    if not options.models:
        raise ConfigError("no model was named", hint="textus serve runs/first")
    from textus.verbs.serve import Setup, needs, serve_forever

    needs()
    from textus.serving.keys import Keys
    from textus.serving.run import Place

    limits = settings.override(Limits(), *options.set)
    setup = Setup(
        models=options.models,
        adapters=options.adapter,
        guard=options.guard,
        policy=options.policy,
        audit=options.audit,
        audit_key=options.audit_key,
        audit_raw=options.audit_raw,
        device=options.device,
        weights=options.weights,
        threads=_threads(options.threads),
        limits=limits,
    )
    keys = Keys.read(Path(options.key_file)) if options.key_file else Keys()
    place = Place(options.host, options.port, keys, options.anyone)
    serve_forever(setup, place, said=lambda serving: _said(options, serving), check=options.check)


def _parser() -> Parser:
    made = Parser(
        prog="textus serve",
        description="Put models behind OpenAI's API, with a page to talk to them. SIGTERM or Ctrl-C ends it in order.",
    )
    made.add_argument("models", nargs="*", metavar="[NAME=]DIR", help="run or model directories; the first is usual")
    made.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="[NAME=]DIR[@MODEL]",
        help="an adapter (LoRA) that a model hears, as a model of its own; once for each",
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    made.add_argument("--port", type=int, default=8000, metavar="N", help="0 takes a free one (default: 8000)")
    made.add_argument(
        "--key-file", default="", metavar="FILE", help="who may ask: a key a line, or sha256: and its hash"
    )
    made.add_argument("--anyone", action="store_true", help="let other machines in without keys")
    made.add_argument("--policy", default="", metavar="FILE", help="what is done with what (TOML), or `default`")
    made.add_argument("--guard", default="", metavar="DIR", help="a classifier for the policy")
    made.add_argument("--audit", default="", metavar="DIR", help="log every decision there; `textus audit verify`")
    made.add_argument("--audit-key", default="", metavar="FILE", help="a key without which no log can be made anew")
    made.add_argument("--audit-raw", action="store_true", help="keep the texts in the log too, not their hashes alone")
    made.add_argument("--set", action="append", default=[], metavar="LIMIT=VALUE", help="a limit; once for each")
    made.add_argument("--limits", action="store_true", help="list the limits with their meaning and stop")
    made.add_argument("--check", action="store_true", help="start, say so, and stop: is all there that is needed?")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument(
        "--weights",
        choices=("stored", "int8", "bf16"),
        default="stored",
        help="int8: 8 bits, faster on a CPU; bf16: 16 bits, faster on a GPU",
    )
    made.add_argument("--threads", metavar="N|auto", default="auto", help="CPU threads; auto: a short measurement")
    made.add_argument("--json", action="store_true", help="say on stdout, as one JSON object, where it answers")
    return made


def _threads(given: str) -> Any:
    if given != "auto" and not (given.isdecimal() and int(given)):
        raise ConfigError(f"--threads is {given}", hint="give a number from 1 up, or auto")
    return given if given == "auto" else int(given)


def _said(options: argparse.Namespace, serving: Any) -> None:
    guarded = "behind its guard" if options.guard or options.policy else "without a guard (--policy default adds one)"
    text = f"{', '.join(serving.models)} at {serving.url}, {guarded}; API: {serving.url}/v1"
    print(as_json(serving.as_dict()) if options.json else text, flush=True)
