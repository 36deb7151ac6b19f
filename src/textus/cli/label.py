"""`textus label`: labels for texts, or for their words."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textus.cli.arguments import Parser, as_json, parse, show
from textus.cli.lines import given
from textus.errors import ConfigError, InputError

if TYPE_CHECKING:
    from textus.verbs.label import Answered


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus label",
        description="Give texts, or their words, labels, with a model that `textus adapt` has made fit for it.",
    )
    made.add_argument("model", help="the directory of an adapted model")
    made.add_argument("texts", nargs="*", metavar="TEXT", help="texts (-: one from each line of stdin)")
    made.add_argument(
        "--file",
        default="",
        metavar="FILE",
        help="texts from JSON lines, CSV or TSV: `text`, with `pair` beside it where they come in pairs, or `tokens`",
    )
    made.add_argument("--top-k", type=int, default=3, metavar="K", help="labels shown for each (default: 3)")
    made.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    made.add_argument("--jsonl", action="store_true", help="one JSON object for each text, a line each")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    if bool(options.texts) == bool(options.file):
        raise ConfigError("give texts, or a file of them with --file", hint='textus label MODEL "a text"')
    from textus.verbs.label import label

    texts = _from_file(options) if options.file else given(options.texts)
    found = label(options.model, texts, top_k=options.top_k, device=options.device)
    if options.jsonl:
        print("\n".join(as_json(one.as_dict()) for one in found))
        return
    show(options, "\n".join(map(_shown, found)), {"texts": [one.as_dict() for one in found]})


def _from_file(options: argparse.Namespace) -> list[Any]:
    from textus.dataset.labelled_texts import Columns, text_columns
    from textus.dataset.records import read, some

    found: list[Any] = []
    for record in read(Path(options.file)):
        words = record.values.get("tokens")
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            found.append(words)
            continue
        texts = [record.values.get(name) for name in text_columns(record, Columns()) if name]
        if not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"{record.place}: no `text`, and no list of words in `tokens`",
                hint='each record is as {"text": "..."}, {"text": "...", "pair": "..."} or {"tokens": ["...", "..."]}',
            )
        found.append(texts if len(texts) > 1 else texts[0])
    return some(found, [options.file])


def _shown(one: Answered) -> str:
    if one.words:
        return (
            "\n".join(
                f"{word}\t{part[0].label}\t{part[0].probability:.4f}"
                for word, part in zip(one.words, one.answers, strict=True)
            )
            + "\n"
        )
    text = one.text if isinstance(one.text, str) else " | ".join(one.text)
    labels = "  ".join(f"{answer.label} {answer.probability:.4f}" for answer in one.answers[0])
    return f"{labels}\t{text}"
