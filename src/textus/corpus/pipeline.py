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
from pathlib import Path
from typing import Any

import numpy as np

from textus import fingerprint, storage
from textus.config import kinds
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.corpus import CORPUS_VERSION, KIND, REPORT, Corpus
from textus.corpus.document import Document
from textus.corpus.inputs import Part
from textus.corpus.log import ReadLog
from textus.corpus.steps import leak, near, options
from textus.corpus.steps.decide import DECISIONS, SUMMARY, Case, decide
from textus.corpus.steps.exact import ranks, representatives
from textus.corpus.steps.measure import DOCUMENTS, LOG, Files, Piece, Source, Staged, Unpacking, measure, unpack
from textus.corpus.steps.options import Reference, Removal, listed, parts_of
from textus.corpus.steps.seal import Sealing, seal
from textus.corpus.steps.table import Measured, gather, number_pieces
from textus.corpus.steps.write import Writing, write
from textus.corpus.store import DocumentWriter, document_files
from textus.corpus.trail import WORK, keep_trail
from textus.corpus.work.bench import Bench, Job
from textus.corpus.work.carriers import chosen
from textus.corpus.work.task import Task, perform
from textus.errors import InputError, TextusError
from textus.progress import SILENT, Progress

_MOST_PIECES = 4096
_UNPACKED = 4
"""How much larger a piece of unpacked text may be than one on disk, for most of it is packed."""
FIRST = "first.npy"


def build(
    inputs: Sequence[str | Path],
    directory: Path,
    config: CorpusConfig,
    progress: Progress = SILENT,
    reference: Reference | None = None,
) -> Corpus:
    """Make a corpus of files and folders, or reopen it when neither they nor the settings have changed."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = listed(config.validation, config)
    parts = parts_of(inputs, config, log)
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
    given = listed(config.validation, config)
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
            scored = options.scores(self.bench, measured, self.config, self.reference)
            contaminated = options.evaluation_sets(self.bench, measured, self.config, first)
            decided = self._decide(Case(measured, pairs, compared, contaminated, scored, self.config))
            passages = options.repeated_passages(self.bench, measured, self.config.passages, decided)
            lines = options.repeated_lines(self.bench, measured, self.config, first)
            removal = Removal(contaminated, passages, lines)
            self._publish(measured, decided, removal, key)
            corpus = Corpus.open(self.directory)
            keep_trail(corpus, measured, decided / DECISIONS)
        except TextusError:
            if self.config.work.world == 1:  # another rank may wait for what was made here
                self.bench.undo_little()
            raise
        except BaseException:
            self.bench.prune()
            raise
        finally:
            self.bench.carrier.stop()
        if self.config.work.world == 1:  # another rank may still look at what this one needs no more
            self.bench.tidy() if self.config.work.keep else self.bench.clear()
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
                "nothing to read; " + ("; ".join(self.log.named[:3]) or "every file is empty"),
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

    def _compare(self, pieces: tuple[Measured, ...], first: Path) -> tuple[Path, tuple[Path, ...]]:
        """Compare what may be nearly the same: whether it is dropped or not, it must not straddle the split."""
        config, bench = self.config.duplicates, self.bench
        key = [first.parent.name, config.signature]
        searches = near.plan_searches(pieces, first, config, int(self.config.work.memory_mb * MEGABYTE))
        jobs = [Job(one, [key, one.bands, one.part, one.parts], near.search_bytes(one)) for one in searches]
        found = bench.each("nearly the same", "candidates", near.search, jobs)
        pairs = bench.one("pairs", "pairs", near.join, found, key)
        spellings = [near.Spelling(piece, pairs) for piece in pieces]
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

    def _publish(self, pieces: Sequence[Measured], decided: Path, removal: Removal, key: str) -> None:
        by_tails, bench = storage.read_json(decided / SUMMARY)["how"] == "tails", self.bench
        writings = [
            Writing(piece, decided / DECISIONS, group, removal.cuts, removal.lines, by_tails, self.config)
            for group, piece in enumerate(pieces)
        ]
        sizes = [piece.num_bytes for piece in pieces]
        base = [decided.name, [place.name for place in (*removal.cuts, removal.lines) if place]]
        jobs = [Job(one, [*base, one.group], size) for one, size in zip(writings, sizes, strict=True)]
        written = bench.each("write", "written", write, jobs)
        held_out = bench.one("held out", "held_out", leak.spell_held_out, (written, self.config), [*base, leak.VERSION])
        looks = [
            leak.Look(place, piece.place, held_out, self.config) for place, piece in zip(written, pieces, strict=True)
        ]
        jobs = [Job(one, one.written.name, size) for one, size in zip(looks, sizes, strict=True)]
        looked = bench.each("leakage", "looked", leak.look, jobs)
        sealing = Sealing(tuple(pieces), decided, written, held_out, looked, self.config, self.log.as_dict())
        bench.do("seal", [Task(self.directory.absolute(), key, seal, sealing, kind=KIND)])
        if self.log.named:
            self.progress.say(
                f"{len(self.log.named)} remarks on what was read are in {self.directory / REPORT}; "
                f"the first: {self.log.named[0]}"
            )


def _key(identity: Any, given: Sequence[Part], config: CorpusConfig) -> str:
    return fingerprint.of_value([CORPUS_VERSION, identity, [part.identity for part in given], settings_key(config)])


def settings_key(config: CorpusConfig) -> list[Any]:
    """Return what of the settings can change the corpus: not who does the work."""
    values = {name: getattr(config, name) for name in kinds(CorpusConfig) if name != "work"}
    return [config.work.task_mb, values]
