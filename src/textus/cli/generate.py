"""`textus generate`: write text from a prompt, streamed as it comes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.cli.arguments import Parser, parse, show
from textus.errors import ConfigError, InputError

FLAGS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_tokens", "seed", "stop")

MOST_TEXTS = 2**20
"""As many as `decoding.generate` will write."""


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus generate",
        description="Continue a prompt. Penalties, temperature, top-k, top-p and min-p apply in this order.",
    )
    made.add_argument("model", help="a run or model directory")
    made.add_argument(
        "prompt", nargs="?", default="", help="text to continue (default: begin a document; -: read stdin)"
    )
    for name in FLAGS:
        made.add_argument(f"--{name.replace('_', '-')}", dest=name, action="append", default=[], metavar=_metavar(name))
    made.add_argument("--greedy", action="store_true", help="always the likeliest token: the same as --temperature 0")
    made.add_argument("-n", type=int, default=1, metavar="N", help="how many texts to write")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    if not 1 <= options.n <= MOST_TEXTS:
        raise ConfigError(f"-n is {options.n}", hint=f"write 1 to {MOST_TEXTS} texts")
    prompt = _piped() if options.prompt == "-" else options.prompt
    from textus.decoding.generate import collect
    from textus.decoding.strategy import strategy_of
    from textus.verbs.generate import run_sampling, stream
    from textus.verbs.load import load

    sampling = _sampling(options, run_sampling(Path(options.model)))
    opened = load(options.model, device=options.device)
    began = time.monotonic()
    pieces = []
    for piece in stream(opened, prompt, sampling, n=options.n):
        pieces.append(piece)
        if options.n == 1 and not options.json:
            print((prompt if len(pieces) == 1 else "") + piece.text, end="", flush=True)
    completions = collect(iter(pieces), options.n)
    seconds = time.monotonic() - began
    if options.n == 1 and not options.json:
        print()
        return
    value = {
        "completions": [completion.as_dict() for completion in completions],
        "sampling": strategy_of(sampling).describe(),
        "seed": sampling.seed,
        "tokens_per_second": len(pieces) / seconds if seconds else 0.0,
    }
    show(options, "\n\n".join(prompt + completion.text for completion in completions), value)


def _piped() -> str:
    """Read the prompt from stdin."""
    if sys.stdin is None:
        raise InputError("stdin: closed", hint="pipe the prompt in, or give it as a word")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(
            f"stdin: not {error.encoding}: {error.reason} at byte {error.start}",
            hint="convert the prompt first, for example with `iconv -f latin1 -t utf-8`",
        ) from None


def _sampling(options: argparse.Namespace, config: Any) -> Any:
    """Return the sampling settings: the flags over the run's own, checked with the same words as a settings file."""
    if options.greedy:
        config = settings.override(config, "temperature=0")
    for name in FLAGS:
        given = getattr(options, name)
        if name == "stop" and given:
            config = settings.replace(config, {"stop": tuple(given)})
        elif given:
            config = settings.override(config, f"{name}={given[-1]}")
    return config


def _metavar(name: str) -> str:
    return {"stop": "TEXT", "top_k": "K", "top_p": "P", "min_p": "P", "max_tokens": "N", "seed": "N"}.get(name, "X")
