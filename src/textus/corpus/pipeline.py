"""The whole stage: from files to a corpus in a directory, in steps of which each is kept until its inputs change.

```
plan -> measure (each piece) -> search, join, spell, compare (near duplicates) -> decide -> write (each piece) -> seal
```
Every arrow is a directory of files with a manifest, made by a task that any process can do, on any machine with the
same disk; running again goes on where the last run was stopped. Another threshold needs another decision and no more.
Documents are numbered in the order of the input, so that the result does not depend on who did what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textus import fingerprint, storage
from textus.config import kinds
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.corpus import CORPUS_VERSION, KIND, REPORT, Corpus
from textus.corpus.document import Document
from textus.corpus.filters.quality import Perplexity
from textus.corpus.inputs import Part, list_parts
from textus.corpus.log import ReadLog
from textus.corpus.steps import leak, near
from textus.corpus.steps.decide import DECISIONS, SUMMARY, Case, decide
from textus.corpus.steps.exact import ranks, representatives
from textus.corpus.steps.lines import Adding, Counting, add_lines, count_lines
from textus.corpus.steps.measure import DOCUMENTS, LOG, Files, Piece, Source, Staged, Unpacking, measure, unpack
from textus.corpus.steps.score import Lesson, Scoring, learn, score
from textus.corpus.steps.seal import Sealing, seal
from textus.corpus.steps.table import Measured, gather, number_pieces
from textus.corpus.steps.write import Writing, write
from textus.corpus.store import DocumentWriter, document_files
from textus.corpus.trail import WORK, keep_trail
from textus.corpus.work.bench import Bench, Job
from textus.corpus.work.carriers import chosen
from textus.corpus.work.task import KIND as WORK_KIND
from textus.corpus.work.task import Task, perform
from textus.errors import InputError
from textus.progress import SILENT, Progress

_MOST_PIECES = 4096
_UNPACKED = 4
"""How much larger a piece of unpacked text may be than one on disk, for most of it is packed."""
FIRST = "first.npy"


@dataclass(frozen=True)
class Reference:
    """A model by whose perplexity texts are judged; it is given from above, for nothing here knows models."""

    key: str
    """Tells the model from others."""
    perplexity: Perplexity


def build(
    inputs: Sequence[str | Path],
    directory: Path,
    config: CorpusConfig,
    progress: Progress = SILENT,
    reference: Reference | None = None,
) -> Corpus:
    """Make a corpus of files and folders, or reopen it when neither they nor the settings have changed."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = _listed(config.validation, config)
    parts = _parts(inputs, config, log)
    parts = [part for part in parts if part.place not in {part.place for part in given}]
    key = _key([part.identity for part in parts], given, config)
    if storage.is_fresh(directory, KIND, key):
        return Corpus.open(directory)
    return _Pipeline(directory, config, progress, log, reference).make([(given, True), (parts, False)], key)


def build_from(
    documents: Iterable[Document],
    key: str,
    directory: Path,
    config: CorpusConfig,
    progress: Progress = SILENT,
    reference: Reference | None = None,
) -> Corpus:
    """Make a corpus of documents that `key` identifies, or reopen it without asking for the first of them."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = _listed(config.validation, config)
    full_key = _key(key, given, config)
    if storage.is_fresh(directory, KIND, full_key):
        return Corpus.open(directory)
    pipeline = _Pipeline(directory, config, progress, log, reference)
    return pipeline.make([(given, True), (pipeline.staged(documents, key), False)], full_key)


def stage(place: Path, payload: tuple[Iterable[Document], int]) -> Mapping[str, Any]:
    """Write documents as they come, to be read again by tasks."""
    documents, file_bytes = payload
    with DocumentWriter(place, DOCUMENTS, file_bytes) as writer:
        for document in documents:
            writer.append(document)
    return {"documents": writer.count}


def mark_first(place: Path, payload: tuple[tuple[Measured, ...], tuple[str, ...]]) -> Mapping[str, Any]:
    """Write which documents stand for all of their text: only these are compared with others."""
    pieces, priority = payload
    whole = gather(pieces)
    first = representatives(whole, ranks(whole, priority))
    np.save(place / FIRST, first == np.arange(len(whole)))
    return {}


class _Pipeline:
    """The steps of one run."""

    def __init__(
        self, directory: Path, config: CorpusConfig, progress: Progress, log: ReadLog, reference: Reference | None
    ) -> None:
        self.directory, self.config, self.progress, self.log = directory, config, progress, log
        self.reference = reference
        self.bench = Bench(directory.with_name(directory.name + WORK), chosen(config.work), progress)

    def staged(self, documents: Iterable[Document], key: str) -> list[Staged]:
        """Keep documents that come from Python; no other process could take them."""
        task = self.bench.task("staged", stage, (documents, int(self.config.work.task_mb * MEGABYTE)), key)
        perform(task)
        return [Staged(path, key) for path in document_files(task.place, DOCUMENTS)]

    def make(self, inputs: Sequence[tuple[Sequence[Part | Staged], bool]], key: str) -> Corpus:
        """Take all steps from the inputs, each with whether it is held out, and put the result in its place."""
        try:
            pieces = [piece for parts, held_out in inputs for piece in self._pieces(parts, held_out)]
            measured = self._measure(pieces)
            first = self._first(measured)
            pairs, compared = self._compare(measured, first)
            decided = self._decide(Case(measured, pairs, compared, self._score(measured), self.config))
            self._publish(measured, decided, self._lines(measured, first), key)
            corpus = Corpus.open(self.directory)
            keep_trail(corpus, measured, decided / DECISIONS)
        except BaseException:
            self.bench.prune()
            raise
        finally:
            self.bench.carrier.stop()
        if not self.config.work.keep:
            self.bench.clear()
        elif self.config.work.world == 1:  # another rank may still look at what this one needs no more
            self.bench.tidy()
        return corpus

    def _pieces(self, parts: Sequence[Part | Staged], held_out: bool) -> list[Piece]:
        """Put parts together to pieces of about `task_mb`; unpack those that are larger."""
        size = self._piece_bytes(parts)
        large = [part for part in parts if isinstance(part, Part) and part.weight > 1.5 * size]
        unpackings = [Unpacking(part, self.config, int(_UNPACKED * size)) for part in large]
        jobs = [Job(one, one.key, one.part.weight) for one in unpackings]
        unpacked = dict(zip(large, self.bench.each("unpack", "unpacked", unpack, jobs), strict=True))
        sources: list[Source] = []
        group: list[Part] = []
        for part in parts:
            if group and (part in unpacked or isinstance(part, Staged) or sum(one.weight for one in group) >= size):
                sources.append(Files(tuple(group)))
                group = []
            if isinstance(part, Staged):
                sources.append(part)
            elif part in unpacked:
                place = unpacked[part]
                self.log.add(ReadLog.from_dict(storage.read_json(place / LOG)["log"]))
                sources += [Staged(path, place.name) for path in document_files(place, DOCUMENTS)]
            else:
                group.append(part)
        return [
            Piece(source, held_out, self.config) for source in (*sources, *([Files(tuple(group))] if group else []))
        ]

    def _piece_bytes(self, parts: Sequence[Part | Staged]) -> float:
        """Return the size of pieces: as set, or 2, 4, 8, ... times as much where there would be too many."""
        size = self.config.work.task_mb * MEGABYTE
        while sum(part.weight for part in parts) > _MOST_PIECES * size:
            size *= 2
        return size

    def _measure(self, pieces: Sequence[Piece]) -> tuple[Measured, ...]:
        tasks = [self.bench.task("measured", measure, piece, piece.key, piece.source.size) for piece in pieces]
        places = self.bench.do("read", tasks)
        for place in places:
            self.log.add(ReadLog.from_dict(storage.read_json(place / LOG)["log"]))
        facts = [task.facts() for task in tasks]
        if not any(fact["documents"] for fact in facts):
            raise InputError(
                "nothing to read: " + ("; ".join(self.log.named[:3]) or "every file is empty"),
                hint="give files with text in them",
            )
        return tuple(
            number_pieces(
                (place, piece.held_out, fact["documents"], fact["bytes"])
                for place, piece, fact in zip(places, pieces, facts, strict=True)
            )
        )

    def _first(self, pieces: tuple[Measured, ...]) -> Path:
        """Mark the documents that stand for their exact duplicates."""
        key = [[piece.place.name for piece in pieces], self.config.priority]
        return self.bench.one("same", "first", mark_first, (pieces, self.config.priority), key) / FIRST

    def _score(self, pieces: tuple[Measured, ...]) -> tuple[tuple[Path, ...], ...]:
        """Give every document the learnt scores that were asked for."""
        bench, quality = self.bench, self.config.filter.quality
        scored: list[tuple[Path, ...]] = []
        if quality.is_on:
            good, bad = (tuple(_listed(paths, self.config)) for paths in (quality.good, quality.bad))
            key = [[part.identity for part in parts] for parts in (good, bad)]
            learnt = bench.one("learn quality", "quality", learn, Lesson(good, bad, self.config), key)
            jobs = [Job(Scoring(piece, learnt), [piece.place.name, learnt.name], piece.num_bytes) for piece in pieces]
            scored.append(bench.each("quality", "scored", score, jobs))
        if self.reference:
            judge, name = self.reference.perplexity, self.reference.key
            tasks = [bench.task("scored", score, Scoring(one, None, judge), [one.place.name, name]) for one in pieces]
            for task in tasks:  # here: the model is in this process
                perform(task)
            scored.append(tuple(task.place for task in tasks))
        return tuple(zip(*scored, strict=True)) if scored else ((),) * len(pieces)

    def _lines(self, pieces: tuple[Measured, ...], first: Path) -> Path | None:
        """Find the lines that many documents share."""
        config, bench = self.config.boilerplate, self.bench
        if config.action == "keep":
            return None
        jobs = [Job(Counting(piece, first), [piece.place.name, first.parent.name], piece.num_bytes) for piece in pieces]
        counted = bench.each("lines", "lines", count_lines, jobs)
        documents = sum(storage.manifest(place, WORK_KIND).facts["documents"] for place in counted)
        adding = Adding(counted, documents, config, int(self.config.work.memory_mb * MEGABYTE))
        return bench.one("repeated lines", "repeated", add_lines, adding, [[place.name for place in counted], config])

    def _compare(self, pieces: tuple[Measured, ...], first: Path) -> tuple[Path, tuple[Path, ...]]:
        """Compare what may be nearly the same: whether it is dropped or not, it must not straddle the split."""
        config, bench = self.config.duplicates, self.bench
        key = [first.parent.name, config.signature]
        searches = near.plan_searches(pieces, first, config, int(self.config.work.memory_mb * MEGABYTE))
        jobs = [Job(one, [key, one.bands, one.part, one.parts], near.search_bytes(one)) for one in searches]
        found = bench.each("nearly the same", "candidates", near.search, jobs)
        pairs = bench.one("pairs", "pairs", near.join, found, key)
        spellings = [near.Spelling(piece, pairs, config.words) for piece in pieces]
        jobs = [Job(one, [key, one.piece.start], one.piece.num_bytes) for one in spellings]
        spelt = bench.each("spell", "spelt", near.spell, jobs)
        ranges = near.cut(pairs, spelt, self.config.work.memory_mb / 4)
        comparisons = [near.Comparison(pairs, start, stop, spelt) for start, stop in ranges]
        jobs = [Job(one, [key, one.start, one.stop], near.PAIR_BYTES * (one.stop - one.start)) for one in comparisons]
        return pairs, bench.each("compare", "compared", near.compare, jobs)

    def _decide(self, case: Case) -> Path:
        scored = [place.name for places in case.scored for place in places]
        names = [[piece.place.name for piece in case.pieces], [place.name for place in case.compared], scored]
        return self.bench.one("decide", "decided", decide, case, [names, settings_key(self.config)])

    def _publish(self, pieces: Sequence[Measured], decided: Path, lines: Path | None, key: str) -> None:
        by_tails, bench = storage.read_json(decided / SUMMARY)["how"] == "tails", self.bench
        writings = [
            Writing(piece.place, decided / DECISIONS, group, lines, by_tails, self.config)
            for group, piece in enumerate(pieces)
        ]
        sizes = [piece.num_bytes for piece in pieces]
        base = [decided.name, lines.name if lines else ""]
        jobs = [Job(one, [*base, one.group], size) for one, size in zip(writings, sizes, strict=True)]
        written = bench.each("write", "written", write, jobs)
        held_out = bench.one("held out", "held_out", leak.spell_held_out, (written, self.config), base)
        looks = [leak.Look(place, held_out, self.config) for place in written]
        jobs = [Job(one, one.written.name, size) for one, size in zip(looks, sizes, strict=True)]
        looked = bench.each("leakage", "looked", leak.look, jobs)
        sealing = Sealing(tuple(pieces), decided, written, held_out, looked, self.config, self.log.as_dict())
        bench.do("seal", [Task(self.directory.absolute(), key, seal, sealing, kind=KIND)])
        if self.log.named:
            self.progress.say(
                f"{len(self.log.named)} remarks on what was read are in {self.directory / REPORT}; "
                f"the first: {self.log.named[0]}"
            )


def _listed(paths: Sequence[str], config: CorpusConfig) -> list[Part]:
    """List what settings name beside the input."""
    return _parts(paths, config, ReadLog(stop=config.unreadable == "stop")) if paths else []


def _parts(inputs: Sequence[str | Path], config: CorpusConfig, log: ReadLog) -> list[Part]:
    return list_parts(inputs, config, log, int(config.work.task_mb * MEGABYTE))


def _key(identity: Any, given: Sequence[Part], config: CorpusConfig) -> str:
    return fingerprint.of_value([CORPUS_VERSION, identity, [part.identity for part in given], settings_key(config)])


def settings_key(config: CorpusConfig) -> list[Any]:
    """Return what of the settings can change the corpus: not who does the work."""
    values = {name: getattr(config, name) for name in kinds(CorpusConfig) if name != "work"}
    return [config.work.task_mb, values]
