"""The first pass over documents: clean each, drop what is empty or was there before, and stage the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.deduplicate import ExactDuplicates, content_digest
from textus.corpus.document import Document
from textus.corpus.funnel import Funnel
from textus.corpus.split import TEST, VALIDATION, Contents, by_document
from textus.corpus.store import DocumentWriter
from textus.errors import CorpusError

STAGED = "staged"
How = Literal["documents", "tails", "given"]


class Stage:
    """Take documents in, and plan which split each belongs to once all are there."""

    def __init__(self, config: CorpusConfig, writer: DocumentWriter) -> None:
        self.funnel = Funnel()
        self._config = config
        self._writer = writer
        self._contents = Contents()
        self._duplicates = ExactDuplicates()
        self._held_out = ExactDuplicates()
        self._is_held_out = bytearray()

    def take(self, documents: Iterable[Document], held_out: bool) -> None:
        """Clean and keep documents; `held_out` ones are the validation part, and must all come first."""
        for document in documents:
            self.funnel.read += 1
            text, repairs = clean(document.text, self._config)
            self.funnel.repair(repairs, document, text)
            digest = content_digest(text)
            if reason := self._reason_to_drop(text, digest, held_out):
                self.funnel.drop(reason, document)
                continue
            kept = Document(text, document.source, document.meta)
            self._writer.append(kept)
            self._contents.append(digest, kept.num_bytes)
            self._is_held_out.append(held_out)
            self.funnel.kept += 1

    def plan(self) -> tuple[How, NDArray[np.int8]]:
        """Return how to split, and each staged document's split by its number in `SPLITS`."""
        if not self.funnel.kept:
            raise CorpusError(
                f"no document is left of {self.funnel.read} read: {self.funnel.reasons()}",
                hint="give more text, or lower corpus.minimum_characters",
            )
        config, keys, sizes = self._config, self._contents.keys, self._contents.sizes
        shares = {VALIDATION: config.validation_fraction, TEST: config.test_fraction}
        if config.validation:
            return "given", self._around_given(keys, sizes)
        num_parts = 1 + sum(share > 0 for share in shares.values())
        if self._contents.num_distinct() < max(config.minimum_split_documents, num_parts):
            return "tails", np.zeros(len(sizes), np.int8)
        return "documents", by_document(keys, sizes, shares)

    def _around_given(self, keys: NDArray[np.uint64], sizes: NDArray[np.int64]) -> NDArray[np.int8]:
        held_out = np.frombuffer(self._is_held_out, np.uint8).astype(bool)
        if held_out.all():
            raise CorpusError(
                f"nothing is left to train on beside the validation part: {self.funnel.reasons()}",
                hint="give other files with corpus.validation, or more text to train on",
            )
        splits = np.where(held_out, VALIDATION, 0).astype(np.int8)
        splits[~held_out] = by_document(keys[~held_out], sizes[~held_out], {TEST: self._config.test_fraction})
        return splits

    def _reason_to_drop(self, text: str, digest: bytes, held_out: bool) -> str:
        if not text:
            return "empty"
        if len(text) < self._config.minimum_characters:
            return "too short"
        if held_out:
            self._held_out.seen_digest(digest)
        elif digest in self._held_out:
            return "also in the validation part"
        if self._config.deduplicate and self._duplicates.seen_digest(digest):
            return "duplicate"
        return ""
