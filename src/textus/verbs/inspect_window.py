"""Show a window of tokens as training shows it: what is read, and what is asked."""

from __future__ import annotations

from pathlib import Path

import torch

from textus import storage
from textus.config import build
from textus.corpus.corpus import Corpus
from textus.dataset.mixture import Mixture
from textus.dataset.pack import Windows
from textus.dataset.rows import Rows
from textus.dataset.tokenize import Shards
from textus.dataset.window import PADDING
from textus.errors import ArtefactError, ConfigError
from textus.objectives import table as objectives
from textus.objectives.objective import IGNORE, Mixed, Objective
from textus.report import Prose, Report, Table
from textus.tokenizer.tokenizer import Tokenizer
from textus.training.presets import asking
from textus.training.recipe import Recipe
from textus.verbs.mixture import shown_windows
from textus.verbs.replay import old_shards, with_replay
from textus.verbs.settings import kept_settings

SHOWN_CONTEXT = 64
"""Tokens of a window that is shown where no run has said how long its own are."""


def window_report(shards: Shards, number: int, split_name: str) -> Report:
    """Return window `number` of a part of a run: its documents, and each token with what it must predict."""
    tokenizer = tokenizer_beside(shards.directory)
    if tokenizer is None:
        raise ArtefactError(f"{shards.directory}: no tokenizer beside it", hint="give the run's directory")
    if not 0 <= number < 2**63:
        raise ConfigError(f"no window {number}", hint="windows are numbered from 0, through all epochs, to 2^63 - 1")
    windows, objective = _windows(shards, split_name, tokenizer)
    which, own, own_number = "", windows, number
    if isinstance(windows, Mixture):
        (source,), (inside,) = windows.places([number])
        which, own, own_number = f"{windows.names[source]}, ", windows.windows[source], int(inside)
    epoch, place_in = divmod(own_number, own.per_epoch)
    rows = tuple((part.document, part.start, part.stop) for part in windows.sources(number))
    where = f"epoch {epoch}, place {place_in}"
    return Report(
        f"Window {number}: {which}{where}",
        ((f"Window {number} of {split_name}: {which}{where} of {own.per_epoch}",
          Table(("document", "from token", "to token"), rows)),
         ("token | label", Prose(show_window(windows, tokenizer, objective, number), verbatim=True))),
    )  # fmt: skip


def _windows(shards: Shards, split_name: str, tokenizer: Tokenizer) -> tuple[Windows | Mixture, Objective]:
    """Return the windows of a run and what they are asked, in training or where the model is measured."""
    run = shards.directory.parent
    settings = kept_settings(run)
    context, seed, num_windows = SHOWN_CONTEXT, 1, 1
    if (run / "plan.json").is_file():
        planned = storage.read_json(run / "plan.json")
        context, recipe = planned["model"]["context_length"], build(Recipe, planned["training"], "plan.json")
        seed, num_windows = recipe.seed, recipe.rows_before(recipe.steps, context)
    asked = asking(settings.objective, num_windows * context)
    split, objective = shards.split(split_name), objectives.build(asked, tokenizer, num_windows, seed)
    offset = objective.prediction_offset
    if split_name != "train":
        return Windows(split, context, offset, seed, ordered=True), objective.validation()
    corpus = run / "corpus"
    shown = shown_windows(split, lambda: Corpus.open(corpus), settings.mixture, context, offset, seed)
    if settings.replay.share:
        start = Path(settings.training.start_from)
        old = old_shards(start, settings.replay, settings.corpus, tokenizer, run)
        shown = with_replay(shown, old.split("train"), settings.replay.share, seed)
    return shown, objective


def show_window(windows: Rows, tokenizer: Tokenizer, objective: Objective, number: int) -> str:
    """Show a window as it is asked: `token | label`, a rule between documents, a dot where nothing is asked."""
    window = windows.rows([number])
    question = objective.batch(window, torch.Generator())
    batch = question.parts[0] if isinstance(question, Mixed) else question
    documents = window.documents[0, : batch.tokens.shape[1]].tolist()
    lines: list[str] = []
    rows = zip(batch.tokens[0].tolist(), batch.labels[0].tolist(), documents, strict=True)
    for index, (token, label, document) in enumerate(rows):
        if document == PADDING:
            lines.append("(padding to the end)")
            break
        if index and document != documents[index - 1]:
            lines.append(f"{'-' * 18} another document: attention and labels stop here")
        asked = "·" if label == IGNORE else _quoted(tokenizer.token_text(label))
        lines.append(f"{_quoted(tokenizer.token_text(token)):>20} | {asked}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Put what `token_text` has escaped into quotation marks; `repr` would escape it a second time."""
    return f"'{text}'"


def tokenizer_beside(shards: Path) -> Tokenizer | None:
    """Return the tokenizer of the run that shards belong to, where it is there."""
    place = shards.parent / "tokenizer"
    return Tokenizer.load(place) if (place / "tokenizer.json").is_file() else None
