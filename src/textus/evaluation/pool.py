"""Divide texts, as they were read, into what all arms of an ablation learn from and what all are measured on.

```
inputs -> read, not judged -> held out (given, or chosen by content) -> made plain, each text once
                           -> the pool: all others but those that show a held-out text, raw or repaired
```
This comes before any step that an arm may leave out, so that no step has a say in what it is judged by.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus import fingerprint, storage
from textus.corpus.batch import Index, TextBatch, batches
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.deduplicate import content_digest
from textus.corpus.document import Document
from textus.corpus.duplicates.leakage import HeldOut
from textus.corpus.duplicates.verify import Shingles, shingle_sets
from textus.corpus.inputs import list_parts
from textus.corpus.log import ReadLog
from textus.corpus.read import read_part
from textus.corpus.split import VALIDATION, by_document
from textus.corpus.steps.measure import read_settings
from textus.corpus.store import DocumentWriter, read_documents
from textus.errors import CorpusError, InputError
from textus.progress import SILENT, Progress

KIND = "pool"
VERSION = 1
"""Raised whenever the same input and settings give another pool."""
_POOL, _HELD_OUT, _READ = "documents", "held_out", "read"
_LEAST_DOCUMENTS = 20
"""How many held-out texts there is room for at the least: longer ones are cut."""
_PLAIN, _REPAIRED = CorpusConfig(fix_unicode=False), CorpusConfig()


@dataclass(frozen=True)
class Pool:
    """The two sides on disk."""

    directory: Path
    facts: dict[str, Any]
    """Counts of documents and bytes: `read`, `held_out`, `shown` (left out of the pool), and how it was held out."""

    @property
    def inputs(self) -> Path:
        """Return the folder that holds what is learnt from."""
        return self.directory / _POOL

    @property
    def held_out(self) -> Path:
        """Return the folder that holds what is measured on."""
        return self.directory / _HELD_OUT

    @property
    def fingerprint(self) -> str:
        """Return the hash of the held-out texts."""
        return str(self.facts["fingerprint"])

    def held_out_documents(self) -> Iterator[Document]:
        """Yield what is measured on."""
        return read_documents(self.held_out, _HELD_OUT)


def build_pool(
    inputs: Sequence[str | Path],
    held_out: Sequence[str | Path],
    directory: Path,
    config: CorpusConfig,
    *,
    most_bytes: int,
    progress: Progress = SILENT,
) -> Pool:
    """Make a pool, or reopen it where neither files nor settings have changed.

    Without files to hold out, `config.validation_fraction` of the documents is, chosen by the hash of their content.
    No more than `most_bytes` are held out, and of no document more than a twentieth of that, its beginning. Raises
    `CorpusError` where there is nothing to learn from or to measure on.
    """
    log = ReadLog(stop=config.unreadable == "stop")
    given = list_parts(held_out, config, log) if held_out else []
    places = {part.place for part in given}
    parts = [part for part in list_parts(inputs, config, log) if part.place not in places]
    settings = [*read_settings(config), config.validation_fraction, vars(config.leakage), most_bytes]
    key = fingerprint.of_value([VERSION, *([part.identity for part in side] for side in (parts, given)), settings])
    if storage.is_fresh(directory, KIND, key):
        return Pool(directory, storage.manifest(directory, KIND).facts)
    with storage.new_directory(directory) as partial:
        making = _Making(partial, config, most_bytes)
        with progress.task("read", sum(part.weight for part in parts), "B") as task:
            making.read(one for part in parts for one in read_part(part, config, log, task.advance))
        making.hold_out([one for part in given for one in read_part(part, config, log)] if held_out else None)
        making.fill()
        storage.seal(partial, KIND, key, {}, making.facts)
    return Pool(directory, making.facts)


class _Making:
    """A pool under way in a directory."""

    def __init__(self, place: Path, config: CorpusConfig, most_bytes: int) -> None:
        self.facts: dict[str, Any] = {}
        self._place, self._config, self._most_bytes = place, config, most_bytes
        self._digests, self._sizes = np.zeros((0, 2), np.uint64), np.zeros(0, np.int64)
        self._texts: list[str] = []
        for name in (_POOL, _HELD_OUT, _READ):
            (place / name).mkdir()

    def read(self, documents: Iterable[Document]) -> None:
        """Keep all documents as they are, for they are gone through twice."""
        digests, sizes = bytearray(), []
        with DocumentWriter(self._place / _READ, _READ) as writer:
            for document in documents:
                writer.append(document)
                digests += content_digest(document.text)
                sizes.append(document.num_bytes)
        self._digests = np.frombuffer(bytes(digests), ">u8").reshape(-1, 2).astype(np.uint64)
        self._sizes = np.array(sizes, np.int64)
        if not writer.count:
            raise InputError("there is nothing to read", hint="give files with text in them")
        self.facts["read"] = {"documents": writer.count, "bytes": writer.num_bytes}

    def hold_out(self, given: Sequence[Document] | None) -> None:
        """Write what is measured on, given or chosen here: each text once, those that are nearly another left out."""
        self.facts["how"] = "chosen" if given is None else "given"
        # So short that one text cannot take all the room.
        longest = max(1, self._most_bytes // _LEAST_DOCUMENTS)
        found = self._chosen() if given is None else given
        plain = (Document(clean(one.text, _PLAIN)[0][:longest], one.source) for one in found)
        documents = sorted({one.id: one for one in plain if one.text.strip()}.values(), key=lambda one: one.id)
        texts = [one.text for one in documents]
        among = self._index(texts).seen_in(*self._sets(texts))
        dropped: set[int] = set()
        for holder, second in sorted(zip(among.train.tolist(), among.held_out.tolist(), strict=True)):
            if holder != second and holder not in dropped:
                dropped.add(second)
        with DocumentWriter(self._place / _HELD_OUT, _HELD_OUT) as writer:
            for number, document in enumerate(documents):
                if number not in dropped and writer.num_bytes + document.num_bytes <= self._most_bytes:
                    writer.append(document)
                    self._texts.append(document.text)
        if not writer.count:
            raise CorpusError(
                "there is nothing to measure on: no text was held out",
                hint="give texts that no arm learns from with --held-out, or more text",
            )
        self.facts["held_out"] = {"documents": writer.count, "bytes": writer.num_bytes}
        self.facts["fingerprint"] = writer.fingerprint

    def fill(self) -> None:
        """Write the pool: what is left, without documents that show what is held out."""
        seen, shown = self._index(self._texts), {"documents": 0, "bytes": 0}
        with DocumentWriter(self._place / _POOL, _POOL) as writer:
            for group in batches(read_documents(self._place / _READ, _READ)):
                raw = [document.text for document in group]
                shows = self._shows(seen, raw) | self._shows(seen, [clean(text, _REPAIRED)[0] for text in raw])
                for document, is_shown in zip(group, shows.tolist(), strict=True):
                    if is_shown:
                        shown["documents"] += 1
                        shown["bytes"] += document.num_bytes
                    else:
                        writer.append(document)
        if not writer.count:
            raise CorpusError("nothing is left to learn from beside the held-out texts", hint="give more text")
        shutil.rmtree(self._place / _READ)
        self.facts |= {"shown": shown, "pool": {"documents": writer.count, "bytes": writer.num_bytes}}

    def _chosen(self) -> Iterator[Document]:
        share = min(self._config.validation_fraction, self._most_bytes / max(1, int(self._sizes.sum())))
        splits = by_document(self._digests, self._sizes, {VALIDATION: share})
        documents = read_documents(self._place / _READ, _READ)
        return (one for one, split in zip(documents, splits.tolist(), strict=True) if split == VALIDATION)

    def _index(self, texts: Sequence[str]) -> HeldOut:
        return HeldOut.of(*self._sets(texts), self._config.leakage)

    def _sets(self, texts: Sequence[str]) -> tuple[Shingles, Index]:
        return shingle_sets(TextBatch(texts), self._config.leakage.words)

    def _shows(self, seen: HeldOut, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which texts hold, or are nearly, a held-out one."""
        found = np.zeros(len(texts), bool)
        found[seen.seen_in(*self._sets(texts)).train] = True
        return found
