"""Show what an artefact holds, as text: a run, a corpus, a tokenizer, a window, a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textus import fingerprint, storage
from textus.checkpoint import checkpoint
from textus.checkpoint.training_state import KIND as TRAINING_KIND
from textus.corpus.corpus import Corpus
from textus.dataset.pack import Windows
from textus.dataset.tokenize import Shards
from textus.errors import ArtefactError
from textus.model.leak import check_leaks
from textus.objectives.causal import Causal
from textus.report import Prose, Report, Score, Section, Table
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.inspect_corpus import document_report, search_report
from textus.verbs.inspect_examples import examples_report
from textus.verbs.inspect_model import described
from textus.verbs.inspect_tokenizer import tokenizer_report
from textus.verbs.inspect_window import SHOWN_CONTEXT, show_window, tokenizer_beside, window_report

STAGES = ("corpus", "tokenizer", "shards")
EXAMPLES = "examples"
"""The same for an adaptation."""


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
    if window is not None and (examples := _part(place, EXAMPLES)).name == EXAMPLES:
        return examples_report(examples, window, split)
    if window is not None:
        return window_report(Shards.open(_part(place, "shards")), window, split)
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
    if kind == EXAMPLES:
        return examples_report(place)
    sections: list[tuple[str, Section]] = []
    if (place / checkpoint.CONFIG).is_file():
        sections += _model(place).sections
    for name in (*STAGES, EXAMPLES):
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
    tokenizer = tokenizer_beside(shards.directory)
    sections: list[tuple[str, Section]] = [("Shards", table)]
    split = shards.split("train")
    if tokenizer is not None and split.num_tokens > 2:
        context = min(SHOWN_CONTEXT, split.num_tokens - 1)
        shown = show_window(Windows(split, context, 1, 1), tokenizer, Causal(), 0)
        sections.append(("A window: token | label", Prose(shown, verbatim=True)))
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


def _model(place: Path) -> Report:
    opened = checkpoint.load(place)
    origin = opened.provenance
    chain = {name: fingerprint.short(str(origin.get(name, ""))) for name in ("corpus", "tokenizer", "shards", "code")}
    sections: list[tuple[str, Section]] = [("Model", Table.of(described(opened))), ("Made from", Table.of(chain))]
    if (place / storage.MANIFEST).is_file():
        found = storage.read_json(place / storage.MANIFEST)
        name = "Training checkpoint" if found.get("kind") == TRAINING_KIND else "Checkpoint"
        sections.append((name, Table.of(found.get("facts", {}))))
    if (place / "result.json").is_file():
        result = storage.read_json(place / "result.json")
        sections.append(("Scores", Table.of_scores(Score(**score) for score in result["scores"])))
    return Report(place.name, tuple(sections))
