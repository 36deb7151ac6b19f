"""`textus evaluate`: perplexity and bits per byte, with standard errors."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from textus.cli import looks
from textus.cli.arguments import Parser, is_setting, override_items, parse, show
from textus.cli.console import console
from textus.cli.tasks import asked_tasks, task_options, task_words
from textus.errors import ConfigError


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    options = parse(_parser(), arguments)
    looks.check(options)
    from textus.verbs.evaluate import evaluate
    from textus.verbs.evaluate_parts import evaluate_parts
    from textus.verbs.load import load
    from textus.verbs.settings import kept_settings

    given = [item for item in options.items if is_setting(item)]
    changes = [item for item in given if not item.startswith("task.")]
    for item in changes:
        if not item.startswith("corpus."):
            hint = "as in corpus.text_column=NAME"
            raise ConfigError(f"`{item}`: only settings of the corpus and of tasks apply here", hint=hint)
    config = override_items(kept_settings(Path(options.model)), changes).corpus
    texts = [item for item in options.items if item not in given]
    opened = load(options.model, device=options.device, adapter=options.adapter)
    if looks.asked(options):
        looks.run(options, opened, texts, config)
        return
    found = evaluate(
        opened,
        texts,
        split=options.split,
        stride=options.stride,
        config=config,
        look_in_training=not options.no_contamination,
        **asked_tasks(options, given),
        precision=options.precision,
        progress=console(),
    )
    if options.tasks:
        looks.write_words(options, task_words(found))
        show(options, task_words(found), found.as_dict())
        return
    lines = [
        *(str(score) for score in found.scores),
        f"{found.tokens:,} tokens, {found.num_bytes:,} bytes",
        *found.notes(),
    ]
    values, parts = found.as_dict(), None
    if options.by:
        parts = evaluate_parts(opened, found, texts, by=options.by, split=options.split, config=config)
        values["parts"] = parts.as_dict()
        lines += ["", parts.report().text()]
    looks.write_scores(options, found, parts)
    show(options, "\n".join(lines), values)


def _parser() -> Parser:
    made = Parser(prog="textus evaluate", description="Measure a model on its validation part, or on other texts.")
    made.add_argument("model", help="a run or model directory")
    made.add_argument(
        "items",
        nargs="*",
        metavar="TEXTS | corpus.key=value | task.key=value",
        help="files and folders to measure on (default: the run's validation part), how to read them where that "
        "differs from how the run's own were read, and how to ask tasks where that differs from their descriptions",
    )
    task_options(made)
    made.add_argument(
        "--split",
        default="validation",
        metavar="PART",
        help="part of the run's corpus: validation (default), test, train",
    )
    made.add_argument(
        "--stride", type=_stride, default="auto", metavar="TOKENS", help="new tokens a window (default: half of it)"
    )
    made.add_argument(
        "--no-contamination",
        action="store_true",
        help="do not look for the text in what the model has learnt from",
    )
    looks.add(made)
    made.add_argument("--adapter", default="", metavar="DIR", help="an adapter that the model is to hear (LoRA)")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument(
        "--precision",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="number format of matrix products (default: fp32; on a GPU bf16 is several times as fast)",
    )
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def _stride(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"give a number of tokens, or auto; got {text!r}") from None
