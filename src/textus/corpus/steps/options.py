"""The steps that are taken only where they are asked for: scores, evaluation sets, meaning, passages, boilerplate.

Each returns where its result is, or none where it was not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textus import fingerprint, storage
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.filters.quality import Perplexity
from textus.corpus.inputs import Part, list_parts
from textus.corpus.log import ReadLog
from textus.corpus.passages.config import PassagesConfig
from textus.corpus.sorting import sorting_bytes
from textus.corpus.steps import meaning, repeat
from textus.corpus.steps.cuts import Cuts
from textus.corpus.steps.decide import DECISIONS
from textus.corpus.steps.decontaminate import Judgement, Probe, judge, look_up
from textus.corpus.steps.lines import Adding, Counting, add_lines, count_lines
from textus.corpus.steps.meaning import Embedding
from textus.corpus.steps.score import Lesson, Scoring, learn, score
from textus.corpus.steps.table import Measured
from textus.corpus.work.bench import Bench, Job
from textus.corpus.work.task import KIND


@dataclass(frozen=True)
class Reference:
    """A model by whose perplexity texts are judged; it is given from above, for nothing here knows models."""

    key: str
    """Tells the model from others."""
    perplexity: Perplexity


@dataclass(frozen=True)
class Models:
    """The models that a corpus is made with, where they were asked for."""

    reference: Reference | None = None
    embedding: Embedding | None = None

    @property
    def keys(self) -> list[str]:
        """Return what tells them from others."""
        return [model.key if model else "" for model in (self.reference, self.embedding)]


@dataclass(frozen=True)
class Removal:
    """Where it is told what is to be taken out of documents that stay."""

    contaminated: Path | None
    passages: Path | None
    lines: Path | None

    def cuts(self, config: PassagesConfig) -> tuple[Cuts, ...]:
        """Return where runs of words are that are to go, and what is to stand in their place."""
        marks = ((self.contaminated, ""), (self.passages, config.mark if config.action == "mask" else ""))
        return tuple(Cuts(place, mark) for place, mark in marks if place)

    @property
    def names(self) -> list[str]:
        """Return what tells this from other removals."""
        return [place.name for place in (self.contaminated, self.passages, self.lines) if place]


def scores(
    bench: Bench, pieces: tuple[Measured, ...], config: CorpusConfig, reference: Reference | None
) -> tuple[tuple[Path, ...], ...]:
    """Give every document the learnt scores that were asked for; return where those of each piece are."""
    quality = config.filter.quality
    scored: list[tuple[Path, ...]] = []
    if quality.is_on:
        good, bad = (tuple(listed(paths, config)) for paths in (quality.good, quality.bad))
        key = [[part.identity for part in parts] for parts in (good, bad)]
        learnt = bench.one("learn quality", "quality", learn, Lesson(good, bad, config), key)
        jobs = [Job(Scoring(piece, learnt), [piece.place.name, learnt.name], piece.num_bytes) for piece in pieces]
        scored.append(bench.each("quality", "scored", score, jobs))
    if reference:
        judge, name = reference.perplexity, reference.key
        jobs = [Job(Scoring(piece, None, judge), [piece.place.name, name], piece.num_bytes) for piece in pieces]
        scored.append(bench.here("perplexity", "scored", score, jobs))
    return tuple(zip(*scored, strict=True)) if scored else ((),) * len(pieces)


def evaluation_sets(bench: Bench, pieces: tuple[Measured, ...], config: CorpusConfig, first: Path) -> Path | None:
    """Find the items of evaluation sets, in one of each documents that are the same."""
    asked = config.contamination
    if not asked.against:
        return None
    sets = fingerprint.of_value([part.identity for part in listed(asked.against, config)])
    probes = [Probe(piece, asked, sets) for piece in pieces]
    key = [sets, asked.size, asked.minimum_words]
    jobs = [Job(one, [*key, one.piece.place.name, one.piece.start], one.piece.num_bytes) for one in probes]
    probed = bench.each("evaluation sets", "probed", look_up, jobs)
    one_of_each = first if config.deduplicate != "none" else None
    judgement = Judgement(probed, one_of_each, pieces[-1].stop, asked, sets)
    return bench.one("contamination", "contaminated", judge, judgement, [[place.name for place in probed], asked])


def same_meaning(
    bench: Bench, pieces: tuple[Measured, ...], config: CorpusConfig, model: Embedding, decided: Path, first: Path
) -> Path:
    """Find, among the documents that stay, those that say the same as another in other words."""
    jobs = [
        Job(meaning.Embedded(piece, model.embed), [piece.place.name, model.key], piece.num_bytes) for piece in pieces
    ]
    embedded = bench.here("meaning", "embedded", meaning.embed, jobs)
    search = meaning.Search(pieces, embedded, decided / DECISIONS, first, config.semantic)
    key = [decided.name, first.name, [place.name for place in embedded]]
    return bench.one("same meaning", "alike", meaning.find, search, key)


def repeated_passages(
    bench: Bench, pieces: tuple[Measured, ...], config: PassagesConfig, decided: Path, memory_bytes: float
) -> Path | None:
    """Find the passages that several documents have, among those that stay."""
    if config.action == "keep":
        return None
    look, decisions = repeat.Look, decided / DECISIONS
    looks = [look(piece, decisions, group, config) for group, piece in enumerate(pieces)]
    jobs = [Job(one, [decided.name, one.group], one.piece.num_bytes) for one in looks]
    anchored = bench.each("passages", "anchored", repeat.anchor, jobs)
    memory = sorting_bytes(pieces[-1].stop, memory_bytes)
    repeating = repeat.Repeating(anchored, memory)
    repeated = bench.one("repeated passages", "repeated_anchors", repeat.repeat, repeating, decided.name)
    looks = [look(piece, decisions, group, config, repeated) for group, piece in enumerate(pieces)]
    jobs = [Job(one, [repeated.name, one.group], one.piece.num_bytes) for one in looks]
    windowed = bench.each("passages again", "windowed", repeat.window, jobs)
    finding = repeat.Finding(windowed, pieces, decisions, config, memory)
    return bench.one("passages", "passages", repeat.find, finding, repeated.name)


def repeated_lines(bench: Bench, pieces: tuple[Measured, ...], config: CorpusConfig, first: Path) -> Path | None:
    """Find the lines that many documents share."""
    asked = config.boilerplate
    if asked.action == "keep":
        return None
    jobs = [Job(Counting(piece, first), [piece.place.name, first.parent.name], piece.num_bytes) for piece in pieces]
    counted = bench.each("lines", "lines", count_lines, jobs)
    facts = [storage.manifest(place, KIND).facts for place in counted]
    documents, lines = (sum(fact[name] for fact in facts) for name in ("documents", "lines"))
    memory = sorting_bytes(lines, config.work.memory_mb * MEGABYTE)
    adding = Adding(counted, documents, asked, memory)
    return bench.one("repeated lines", "repeated", add_lines, adding, [[place.name for place in counted], asked])


def listed(paths: Sequence[str], config: CorpusConfig) -> list[Part]:
    """List what settings name beside the input."""
    return parts_of(paths, config, ReadLog(stop=config.unreadable == "stop")) if paths else []


def parts_of(inputs: Sequence[str | Path], config: CorpusConfig, log: ReadLog) -> list[Part]:
    """List what is to be read, in parts of about the size of a piece of work."""
    return list_parts(inputs, config, log, int(config.work.task_mb * MEGABYTE))
