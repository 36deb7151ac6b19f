"""The options of commands that measure tasks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from textus.cli.arguments import Parser, override_items
from textus.errors import ConfigError

PREFIX = "task."
"""Settings that begin so are those of tasks."""


def task_options(made: Parser) -> None:
    """Add the options that say which tasks are asked, and how."""
    made.add_argument(
        "--task",
        action="append",
        dest="tasks",
        default=[],
        metavar="FILE",
        help="questions to measure on: JSON lines, a folder of them, or a description in TOML; may be given again",
    )
    made.add_argument("--shots", type=int, metavar="N", help="solved examples before each question")
    made.add_argument(
        "--scoring",
        choices=("auto", "causal", "word-l2r", "original"),
        default="auto",
        help="how tasks are asked (default: in every way in which the model reads)",
    )
    made.add_argument(
        "--too-long",
        choices=("refuse", "skip", "cut"),
        default="refuse",
        help="what becomes of a question that the context does not hold: refuse the task, leave the question out, or "
        "its start (default: refuse)",
    )


def asked_tasks(options: argparse.Namespace, items: Sequence[str]) -> dict[str, Any]:
    """Return what `evaluate` takes of the options, and of those words that are settings of tasks."""
    from textus.evaluation.tasks.config import TaskConfig

    mine = [item.removeprefix(PREFIX) for item in items if item.startswith(PREFIX)]
    if not options.tasks and (mine or options.shots is not None):
        raise ConfigError("settings of tasks were given, and no task", hint="name one: --task FILE.jsonl")
    changes = {key: getattr(override_items(TaskConfig(), [item]), key) for item in mine for key in [item.split("=")[0]]}
    if options.shots is not None:
        changes["shots"] = options.shots
    return {
        "tasks": options.tasks,
        "task_settings": changes,
        "scoring": options.scoring,
        "too_long": options.too_long,
    }


def task_words(found: Any) -> str:
    """Say what was measured on tasks."""
    return "\n".join([*found.lines(), f"{found.tokens:,} tokens", *found.notes()])
