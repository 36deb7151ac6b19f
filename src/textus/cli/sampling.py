"""The flags of `generate` and `chat`: one for every field of `SamplingConfig`."""

from __future__ import annotations

import argparse
from typing import Any

from textus import config as settings
from textus.cli.arguments import Parser
from textus.decoding.config import SamplingConfig
from textus.errors import ConfigError

ONCE_EACH = {"stop_tokens": "stop-token", "bad_words": "bad-word", "stop": "stop", "logit_bias": "logit-bias"}
"""Lists: given once for each of their items."""
METAVAR = {"stop": "TEXT", "stop_tokens": "TOKEN", "bad_words": "TEXT", "logit_bias": "TOKEN:BIAS", "order": "ENGINE"}


def add_flags(made: Parser) -> None:
    """Add a flag for every setting, with what it may be and means."""
    group = made.add_argument_group("how text is written", "what is not said is as in the run's settings")
    for name, kind, meaning in settings.keys(SamplingConfig):
        words = " ".join(meaning.split()).replace("%", "%%")
        group.add_argument(
            f"--{ONCE_EACH.get(name, name.replace('_', '-'))}",
            dest=name,
            action="append",
            default=[],
            metavar=METAVAR.get(name, "X"),
            help=words if name in ONCE_EACH else f"{words} ({settings.words(kind)})",
        )
    group.add_argument("--greedy", action="store_true", help="always the likeliest token: the same as --temperature 0")


def sampling(options: argparse.Namespace, config: SamplingConfig) -> SamplingConfig:
    """Return the sampling settings: the flags over the run's own, checked with the same words as a settings file."""
    if options.greedy:
        config = settings.override(config, "temperature=0")
    for name, _, _ in settings.keys(SamplingConfig):
        given = getattr(options, name)
        if given and name in ONCE_EACH:
            config = settings.replace(config, {name: tuple(given)})
        elif given:
            config = settings.override(config, f"{name}={given[-1]}")
    return config


def open_model(options: argparse.Namespace) -> Any:
    """Return the checkpoint that the flags name, on so many threads as they say."""
    if options.threads != "auto" and not (options.threads.isdecimal() and int(options.threads)):
        raise ConfigError(f"--threads is {options.threads}", hint="give a number from 1 up, or auto")
    from textus.verbs.load import load
    from textus.verbs.threads import use_threads

    opened = load(options.model, device=options.device, adapter=options.adapter, weights=options.weights)
    use_threads(opened, "auto" if options.threads == "auto" else int(options.threads))
    return opened


def add_model(made: Parser) -> None:
    """Add the model and where it computes."""
    made.add_argument("model", help="a run or model directory")
    made.add_argument("--adapter", default="", metavar="DIR", help="an adapter that the model is to hear (LoRA)")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument(
        "--weights", choices=("stored", "int8"), default="stored", help="int8: rounded to 8 bits, faster on a CPU"
    )
    made.add_argument("--threads", metavar="N|auto", default="auto", help="CPU threads; auto: a short measurement")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")


def add_gate(made: Parser) -> None:
    """Add the guard that stands between the user and the model."""
    made.add_argument("--policy", default="", metavar="FILE|default", help="judge what goes in and out by it (TOML)")
    made.add_argument("--guard", default="", metavar="DIR", help="judge by a classifier too: adapt --method moderate")
    made.add_argument("--audit", default="", metavar="DIR", help="log every decision there; `textus audit verify`")


def open_gate(options: argparse.Namespace) -> Any:
    """Return what stands between, or nothing where neither policy nor guard is named."""
    if not (options.policy or options.guard or options.audit):
        return None
    from textus.safety.audit import Audit
    from textus.verbs.guarding import gate_of

    if options.audit and not (options.policy or options.guard):
        raise ConfigError("--audit logs what a guard decides", hint="name a policy too: --policy default")
    audit = Audit(options.audit) if options.audit else None
    return gate_of(options.policy, options.guard, audit, options.device)
