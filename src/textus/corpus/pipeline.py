"""The whole stage: read, clean, deduplicate, split, and keep the result as a directory.

Documents pass through twice, so that memory stays bounded whatever the corpus: once to a staging file while their
digests and sizes are gathered (some 60 bytes a document), and once from there into the splits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus import fingerprint, storage
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.files import list_files
from textus.corpus.funnel import as_record, as_report
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.corpus.split import SPLITS, Split, by_tail
from textus.corpus.stage import STAGED, How, Stage
from textus.corpus.store import DocumentWriter, document_files, read_documents
from textus.errors import CorpusError
from textus.progress import SILENT, Progress
from textus.report import Report

CORPUS_VERSION = 1
"""Raised whenever the same input and settings give other documents, so that cached corpora are made again."""
KIND = "corpus"
_REPORT = "report.json"


class Corpus:
    """A directory of clean documents in splits, opened for reading."""

    def __init__(self, directory: Path, manifest: storage.Manifest) -> None:
        self.directory = directory
        self.manifest = manifest

    @classmethod
    def open(cls, directory: Path) -> Corpus:
        """Open a corpus; raise `ArtefactError` when it is missing, damaged or something else."""
        return cls(directory, storage.manifest(directory, KIND))

    @property
    def fingerprint(self) -> str:
        """Return the hash of all documents in order, by split: equal ones hold the same text."""
        return str(self.manifest.facts["fingerprint"])

    @property
    def splits(self) -> tuple[Split, ...]:
        """Name the splits that hold documents."""
        return tuple(name for name in SPLITS if name in self.manifest.facts["splits"])

    def documents(self, split: Split) -> Iterator[Document]:
        """Yield the documents of a split in order."""
        self._facts(split)
        return read_documents(self.directory, split)

    def count(self, split: Split) -> int:
        """Return how many documents a split holds."""
        return self._facts(split)["documents"]

    def num_bytes(self, split: Split) -> int:
        """Return the size of a split's texts in UTF-8."""
        return self._facts(split)["bytes"]

    def report(self) -> Report:
        """Tell what was read, dropped, repaired and split, and how."""
        return as_report(storage.read_json(self.directory / _REPORT))

    def _facts(self, split: Split) -> dict[str, int]:
        if split not in self.splits:
            raise CorpusError(
                f"{self.directory}: no {split} part; there is {', '.join(self.splits)}",
                hint=f"set corpus.{split}_fraction above 0 and make the corpus again",
            )
        facts: dict[str, int] = self.manifest.facts["splits"][split]
        return facts


def build(inputs: Sequence[str | Path], directory: Path, config: CorpusConfig, progress: Progress = SILENT) -> Corpus:
    """Make a corpus of files and folders, or reopen it when neither they nor the settings have changed."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = _validation_files(config)
    set_apart = {path.resolve() for path in given}
    files = [path for path in list_files(inputs, log) if path.resolve() not in set_apart]
    key = fingerprint.of_value([CORPUS_VERSION, _stamps(files), _stamps(given), config])
    documents = read(files, config, progress, log)
    return _cached(key, directory, lambda: _make(documents, given, key, directory, config, progress, log))


def build_from(
    documents: Iterable[Document], key: str, directory: Path, config: CorpusConfig, progress: Progress = SILENT
) -> Corpus:
    """Make a corpus of documents that `key` identifies, or reopen it without asking for the first of them."""
    log = ReadLog(stop=config.unreadable == "stop")
    given = _validation_files(config)
    full_key = fingerprint.of_value([CORPUS_VERSION, key, _stamps(given), config])
    return _cached(full_key, directory, lambda: _make(documents, given, full_key, directory, config, progress, log))


def _validation_files(config: CorpusConfig) -> list[Path]:
    return list_files(config.validation) if config.validation else []


def _cached(key: str, directory: Path, make: Callable[[], Corpus]) -> Corpus:
    return Corpus.open(directory) if storage.is_fresh(directory, KIND, key) else make()


def _stamps(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Tell files apart by place, size and time of change, without reading them."""
    found = [(path.resolve(), path.stat()) for path in files]
    return [(place.as_posix(), status.st_size, status.st_mtime_ns) for place, status in found]


def _make(
    documents: Iterable[Document],
    given: Sequence[Path],
    key: str,
    directory: Path,
    config: CorpusConfig,
    progress: Progress,
    log: ReadLog,
) -> Corpus:
    with storage.new_directory(directory) as partial:
        with DocumentWriter(partial, STAGED) as writer:
            stage = Stage(config, writer)
            if given:
                stage.take(read(given, config, progress, log), held_out=True)
            stage.take(documents, held_out=False)
        how, splits = stage.plan()
        parts, content = _divide(partial, how, splits, config, progress)
        for path in document_files(partial, STAGED):
            path.unlink()
        storage.write_json(partial / _REPORT, as_record(stage.funnel, log, how, parts))
        facts = {"version": CORPUS_VERSION, "fingerprint": content, "how": how, "splits": parts}
        storage.seal(partial, KIND, key, {"source": key}, facts)
    if log.named:
        progress.say(
            f"{len(log.named)} remarks on what was read are in {directory / _REPORT}; the first: {log.named[0]}"
        )
    return Corpus.open(directory)


def _divide(
    directory: Path, how: How, splits: NDArray[np.int8], config: CorpusConfig, progress: Progress
) -> tuple[dict[str, dict[str, int]], str]:
    """Copy the staged documents into their splits; return the counts of each and the fingerprint of all."""
    with ExitStack() as stack:
        writers = {name: stack.enter_context(DocumentWriter(directory, name)) for name in SPLITS}
        task = stack.enter_context(progress.task("split", len(splits), "documents"))
        for split, document in zip(splits, read_documents(directory, STAGED), strict=True):
            if how == "tails":
                for name, words in by_tail(document.text, config):
                    writers[name].append(Document(words, document.source, document.meta))
            else:
                writers[SPLITS[split]].append(document)
            task.advance()
    for name in SPLITS:
        if not writers[name].count and (name != "test" or config.test_fraction):
            raise CorpusError(
                f"{writers['train'].num_bytes} bytes of text are too few to have a {name} part",
                hint="give more text, or other files to measure on with corpus.validation=FILE",
            )
    filled = [(name, writers[name]) for name in SPLITS if writers[name].count]
    counts: dict[str, dict[str, int]] = {
        name: {"documents": writer.count, "bytes": writer.num_bytes} for name, writer in filled
    }
    return counts, fingerprint.of_parts(f"{name} {writer.fingerprint}" for name, writer in filled)
