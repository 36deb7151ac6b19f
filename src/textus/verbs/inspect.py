"""Show what an artefact holds, as text: a run, a corpus, a tokenizer, a window, a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from textus import fingerprint, storage
from textus.checkpoint import checkpoint
from textus.checkpoint.training_state import KIND as TRAINING_KIND
from textus.corpus.corpus import Corpus
from textus.dataset.pack import Windows
from textus.dataset.tokenize import Shards
from textus.dataset.window import PADDING
from textus.errors import ArtefactError, ConfigError
from textus.model.leak import check_leaks
from textus.objectives import table as objectives
from textus.objectives.causal import Causal
from textus.objectives.objective import IGNORE, Mixed, Objective
from textus.report import Prose, Report, Section, Table
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.inspect_corpus import document_report, search_report
from textus.verbs.inspect_tokenizer import tokenizer_report
from textus.verbs.settings import kept_settings

STAGES = ("corpus", "tokenizer", "shards")
SHOWN_CONTEXT = 64


def inspect(
    path: str | Path,
    *,
    window: int | None = None,
    document: int | None = None,
    split: str = "train",
    search: str = "",
    compare: Sequence[str | Path] = (),
    leaks: bool = False,
) -> Report:
    """Return a report on whatever of ours lies at `path`.

    A number of a `window` shows that window as token | label; a number of a `document` shows that document of `split`,
    or with split "read" that of all that were read, with everything that was decided about it. `search` lists documents
    that hold some words, kept or dropped. Tokenizers
    to `compare` are set side by side with the one at `path`, on the corpus beside that one.
    `leaks` tries the model at `path` as every training does before it begins (docs/training.md).
    Raises `ArtefactError` where there is nothing of ours, and where a model sees what it may not.
    """
    place = Path(path)
    if not place.exists():
        raise ArtefactError(f"{place}: no such file or directory", hint="give a run, or a part of one")
    if leaks:
        return leak_report(place)
    if document is not None:
        return document_report(Corpus.open(_part(place, "corpus")), document, split)
    if search:
        return search_report(Corpus.open(_part(place, "corpus")), search)
    if window is not None:
        return _window(place, window, split)
    kind = _kind(place)
    if compare:
        place = place if kind == "tokenizer" else _part(place, "tokenizer")
        return tokenizer_report(Tokenizer.load(place), place, [Path(other) for other in compare])
    if kind == "corpus":
        return Corpus.open(place).report()
    if kind == "tokenizer":
        return tokenizer_report(Tokenizer.load(place), place)
    if kind == "shards":
        return shards_report(Shards.open(place))
    sections: list[tuple[str, Section]] = []
    if (place / checkpoint.CONFIG).is_file():
        sections += _model(place).sections
    for name in STAGES:
        if (place / name / storage.MANIFEST).is_file():
            sections += inspect(place / name).sections
    if not sections:
        raise ArtefactError(
            f"{place}: holds no corpus, tokenizer, shards or model of ours",
            hint="give a run's directory, or a part of it",
        )
    return Report(f"{place.name}", tuple(sections))


def leak_report(place: Path) -> Report:
    """Try each way in which a model reads, and say what held; raise `ArtefactError` at the first leak."""
    opened = checkpoint.load_model(place)
    check_leaks(opened)
    sees = {"causal": "itself and what stands before it", "bidirectional": "both sides"}
    rows = tuple((reading, sees[reading], "nothing of another") for reading in opened.config.readings)
    table = Table(("reading", "a position depends on", "and across documents on"), rows)
    return Report(f"{place.name}: no leak", (("No leak was found", table),))


def shards_report(shards: Shards) -> Report:
    """Tell what token shards hold, and show the beginning of a window."""
    rows = []
    for name in shards.splits:
        split = shards.split(name)
        rows.append((name, split.num_documents, split.num_bytes, split.num_tokens, len(split.shards)))
    table = Table(("part", "documents", "bytes", "tokens", "files"), tuple(rows))
    tokenizer = _tokenizer_beside(shards.directory)
    sections: list[tuple[str, Section]] = [("Shards", table)]
    split = shards.split("train")
    if tokenizer is not None and split.num_tokens > 2:
        context = min(SHOWN_CONTEXT, split.num_tokens - 1)
        sections.append(
            (
                "A window: token | label",
                Prose(_show_window(Windows(split, context, 1, 1), tokenizer, Causal(), 0), verbatim=True),
            )
        )
    return Report("Shards", tuple(sections))


def _kind(place: Path) -> str:
    """Return the kind that a directory's manifest names; empty where there is none."""
    if place.is_file() and place.name == "tokenizer.json":
        return "tokenizer"
    if not (place / storage.MANIFEST).is_file():
        return "tokenizer" if (place / "tokenizer.json").is_file() and not (place / checkpoint.CONFIG).is_file() else ""
    return str(storage.read_json(place / storage.MANIFEST).get("kind", ""))


def _part(place: Path, name: str) -> Path:
    return place / name if (place / name).is_dir() else place


def _window(place: Path, number: int, split_name: str) -> Report:
    shards = Shards.open(_part(place, "shards"))
    tokenizer = _tokenizer_beside(shards.directory)
    if tokenizer is None:
        raise ArtefactError(f"{shards.directory}: no tokenizer beside it", hint="give the run's directory")
    run = shards.directory.parent
    context, seed = SHOWN_CONTEXT, 1
    if (run / "plan.json").is_file():
        planned = storage.read_json(run / "plan.json")
        context, seed = planned["model"]["context_length"], planned["training"]["seed"]
    split = shards.split(split_name)
    is_training = split_name == "train"
    objective = _objective(run, tokenizer, seed, is_training)
    windows = Windows(split, context, objective.prediction_offset, seed, ordered=not is_training)
    if not 0 <= number < 2**63:
        raise ConfigError(f"no window {number}", hint="windows are numbered from 0, through all epochs, to 2^63 - 1")
    sources = windows.sources(number)
    table = Table(("document", "from token", "to token"), tuple((s.document, s.start, s.stop) for s in sources))
    shown = Prose(_show_window(windows, tokenizer, objective, number), verbatim=True)
    epoch, place_in = divmod(number, windows.per_epoch)
    return Report(
        f"Window {number}: epoch {epoch}, place {place_in}",
        ((f"Window {number} of {split_name}: epoch {epoch}, place {place_in} of {windows.per_epoch}", table),
         ("token | label", shown)),
    )  # fmt: skip


def _objective(run: Path, tokenizer: Tokenizer, seed: int, is_training: bool) -> Objective:
    """Return what a run's windows are asked: in training, or where the model is measured."""
    num_windows = 1
    if (run / "plan.json").is_file():
        recipe = storage.read_json(run / "plan.json")["training"]
        context = storage.read_json(run / "plan.json")["model"]["context_length"]
        num_windows = recipe["steps"] * max(1, round(recipe["batch_tokens"] / context))
    objective = objectives.build(kept_settings(run).objective, tokenizer, num_windows, seed)
    return objective if is_training else objective.validation()


def _show_window(windows: Windows, tokenizer: Tokenizer, objective: Objective, number: int) -> str:
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


def _tokenizer_beside(shards: Path) -> Tokenizer | None:
    place = shards.parent / "tokenizer"
    return Tokenizer.load(place) if (place / "tokenizer.json").is_file() else None


def _model(place: Path) -> Report:
    opened = checkpoint.load(place)
    config, origin = opened.config, opened.provenance
    shape = {
        "parameters": config.num_parameters(),
        "layers x hidden size": f"{config.num_layers} x {config.hidden_size}",
        "heads (key and value)": f"{config.num_heads} ({config.num_kv_heads}) of {config.head_size}",
        "feed-forward": config.intermediate_size,
        "context": config.context_length,
        "vocabulary": config.vocab_size,
        "attention": config.attention,
    }
    chain = {name: fingerprint.short(str(origin.get(name, ""))) for name in ("corpus", "tokenizer", "shards", "code")}
    sections: list[tuple[str, Section]] = [("Model", Table.of(shape)), ("Made from", Table.of(chain))]
    if (place / storage.MANIFEST).is_file():
        found = storage.read_json(place / storage.MANIFEST)
        name = "Training checkpoint" if found.get("kind") == TRAINING_KIND else "Checkpoint"
        sections.append((name, Table.of(found.get("facts", {}))))
    if (place / "result.json").is_file():
        result = storage.read_json(place / "result.json")
        rows = tuple((s["name"], s["value"], s["error"], s["unit"]) for s in result["scores"])
        sections.append(("Scores", Table(("score", "value", "standard error", "unit"), rows)))
    return Report(place.name, tuple(sections))
