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
from dataclasses import replace
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.config import kinds
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.corpus import CORPUS_VERSION, KIND, REPORT, Corpus
from textus.corpus.document import Document
from textus.corpus.inputs import Part
from textus.corpus.log import ReadLog
from textus.corpus.sorting import sorting_bytes
from textus.corpus.steps import exact, leak, near, options, pieces
from textus.corpus.steps.decide import DECISIONS, SUMMARY, Case, decide
from textus.corpus.steps.measure import DOCUMENTS, LOG, Piece, Source, Staged, measure
from textus.corpus.steps.options import Models, Removal, listed, parts_of
from textus.corpus.steps.seal import Sealing, seal
from textus.corpus.steps.table import Measured, number_pieces
from textus.corpus.steps.write import Writing, write
from textus.corpus.store import DocumentWriter, document_files
from textus.corpus.trail import WORK, keep_trail
from textus.corpus.work.bench import Bench, Job
from textus.corpus.work.carriers import chosen
from textus.corpus.work.task import Task, perform
from textus.errors import InputError, TextusError
from textus.progress import SILENT, Progress


def build(
    inputs: Sequence[str | Path],
    directory: Path,
    config: CorpusConfig,
    progress: Progress = SILENT,
    models: Models = Models(),  # noqa: B008 - frozen
) -> Corpus:
    """Make a corpus of files and folders, or reopen it when neither they nor the settings have changed."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = listed(config.validation, config)
    parts = parts_of(inputs, config, log)
    parts = [part for part in parts if part.place not in {part.place for part in given}]
    key = _key([part.identity for part in parts], given, config, models)
    if storage.is_fresh(directory, KIND, key):
        return Corpus.open(directory)
    return _Pipeline(directory, config, progress, log, models).make([(given, True), (parts, False)], key)


def build_from(
    documents: Iterable[Document],
    key: str,
    directory: Path,
    config: CorpusConfig,
    progress: Progress = SILENT,
    models: Models = Models(),  # noqa: B008 - frozen
) -> Corpus:
    """Make a corpus of documents that `key` identifies, or reopen it without asking for the first of them."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = listed(config.validation, config)
    full_key = _key(key, given, config, models)
    if storage.is_fresh(directory, KIND, full_key):
        return Corpus.open(directory)
    pipeline = _Pipeline(directory, config, progress, log, models)
    return pipeline.make([(given, True), (pipeline.staged(documents, key), False)], full_key)


def stage(place: Path, payload: tuple[Iterable[Document], int]) -> Mapping[str, Any]:
    """Write documents as they come, to be read again by tasks."""
    documents, file_bytes = payload
    with DocumentWriter(place, DOCUMENTS, file_bytes) as writer:
        for document in documents:
            writer.append(document)
    return {"documents": writer.count}


class _Pipeline:
    """The steps of one run."""

    def __init__(self, directory: Path, config: CorpusConfig, progress: Progress, log: ReadLog, models: Models) -> None:
        self.directory, self.config, self.progress, self.log = directory, config, progress, log
        self.models = models
        root = directory.absolute().with_name(directory.name + WORK)
        self.bench = Bench(root, chosen(config.work, root), progress)

    def staged(self, documents: Iterable[Document], key: str) -> list[Staged]:
        """Keep documents that come from Python; no other process could take them."""
        task = self.bench.task("staged", stage, (documents, int(self.config.work.task_mb * MEGABYTE)), key)
        perform(task)
        return [Staged(path, key) for path in document_files(task.place, DOCUMENTS)]

    def make(self, inputs: Sequence[tuple[Sequence[Part | Staged], bool]], key: str) -> Corpus:
        """Take all steps from the inputs, each with whether it is held out, and put the result in its place."""
        try:
            sources = [(source, held_out) for parts, held_out in inputs for source in self._sources(parts)]
            measured = self._measure([Piece(source, held_out, self.config) for source, held_out in sources])
            first = self._first(measured)
            pairs, compared = self._compare(measured, first)
            scored = options.scores(self.bench, measured, self.config, self.models.reference)
            contaminated = options.evaluation_sets(self.bench, measured, self.config, first)
            case = Case(measured, first.parent, pairs, compared, contaminated, scored, self.config)
            decided = self._decide(case)
            if self.models.embedding:
                alike = options.same_meaning(
                    self.bench, measured, self.config, self.models.embedding, decided, first.parent
                )
                decided = self._decide(replace(case, alike=alike))
            memory = self.config.work.memory_mb * MEGABYTE
            passages = options.repeated_passages(self.bench, measured, self.config.passages, decided, memory)
            lines = options.repeated_lines(self.bench, measured, self.config, first)
            self._publish(measured, decided, Removal(contaminated, passages, lines), key)
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

    def _sources(self, parts: Sequence[Part | Staged]) -> list[Source]:
        return pieces.divide(self.bench, parts, self.config, self.log)

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
        key = [exact.VERSION, [piece.place.name for piece in pieces], self.config.priority]
        memory = sorting_bytes(pieces[-1].stop, self.config.work.memory_mb * MEGABYTE)
        marking = exact.Marking(pieces, self.config.priority, memory)
        return self.bench.one("same", "first", exact.mark_first, marking, key) / exact.FIRST

    def _compare(self, pieces: tuple[Measured, ...], first: Path) -> tuple[Path, tuple[Path, ...]]:
        """Compare what may be nearly the same: whether it is dropped or not, it must not straddle the split."""
        config, bench = self.config.duplicates, self.bench
        key = [near.VERSION, first.parent.name, config.signature]
        searches = near.plan_searches(pieces, first, config, int(self.config.work.memory_mb * MEGABYTE))
        jobs = [Job(one, [key, one.bands, one.part, one.parts], near.search_bytes(one)) for one in searches]
        found = bench.each("nearly the same", "candidates", near.search, jobs)
        pairs = bench.one("pairs", "pairs", near.join, (found, pieces[-1].stop), [key, pieces[-1].stop])
        spellings = [near.Spelling(piece, pairs) for piece in pieces]
        jobs = [Job(one, [key, one.piece.start], one.piece.num_bytes) for one in spellings]
        spelt = bench.each("spell", "spelt", near.spell, jobs)
        ranges = near.cut(pairs, spelt, self.config.work.memory_mb / 16)
        comparisons = [near.Comparison(pairs, start, stop, spelt) for start, stop in ranges]
        jobs = [Job(one, [key, one.start, one.stop], near.PAIR_BYTES * (one.stop - one.start)) for one in comparisons]
        return pairs, bench.each("compare", "compared", near.compare, jobs)

    def _decide(self, case: Case) -> Path:
        scored = [place.name for places in case.scored for place in places]
        names = [[piece.place.name for piece in case.pieces], [place.name for place in case.compared], scored]
        names.append([case.alike.name] if case.alike else [])
        return self.bench.one("decide", "decided", decide, case, [names, settings_key(self.config)])

    def _publish(self, pieces: Sequence[Measured], decided: Path, removal: Removal, key: str) -> None:
        by_tails, bench = storage.read_json(decided / SUMMARY)["how"] == "tails", self.bench
        cuts = removal.cuts(self.config.passages)
        writings = [
            Writing(piece, decided / DECISIONS, group, cuts, removal.lines, by_tails, self.config)
            for group, piece in enumerate(pieces)
        ]
        sizes = [piece.num_bytes for piece in pieces]
        base = [decided.name, removal.names]
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


def _key(identity: Any, given: Sequence[Part], config: CorpusConfig, models: Models) -> str:
    files = [identity, [part.identity for part in given]]
    return fingerprint.of_value([CORPUS_VERSION, *files, settings_key(config), models.keys])


def settings_key(config: CorpusConfig) -> list[Any]:
    """Return what of the settings can change the corpus: not who does the work."""
    values = {name: getattr(config, name) for name in kinds(CorpusConfig) if name != "work"}
    return [config.work.task_mb, values]
