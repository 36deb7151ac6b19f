"""A corpus to token shards, once for each tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textus import fingerprint, storage
from textus.corpus.batch import batches
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.dataset.shard import DataHash, ShardWriter, TokenShard
from textus.dataset.split import TokenSplit
from textus.errors import ArtefactError
from textus.progress import SILENT, Progress, Task
from textus.tokenizer.tokenizer import Tokenizer

SHARDS_VERSION = 1
"""Raised when the same corpus and tokenizer would give other files, so that cached ones are made again."""
KIND = "shards"
SHARD_TOKENS = 1 << 28
"""A new file is begun behind this many tokens: half a gigabyte where the vocabulary fits 16 bits."""
_BATCH_CHARACTERS = 1 << 22


class Shards:
    """The token shards of all splits of a corpus."""

    def __init__(self, directory: Path, manifest: storage.Manifest) -> None:
        self.directory = directory
        self.manifest = manifest

    @classmethod
    def open(cls, directory: Path) -> Shards:
        """Open a directory of shards; raise `ArtefactError` when it is missing, damaged or of another kind."""
        return cls(directory, storage.manifest(directory, KIND))

    @property
    def fingerprint(self) -> str:
        """Hash the content."""
        return self.manifest.fingerprint

    @property
    def splits(self) -> tuple[str, ...]:
        """Name the splits that there are."""
        return tuple(self.manifest.facts["splits"])

    def split(self, name: str) -> TokenSplit:
        """Open the tokens of one split."""
        if name not in self.splits:
            raise ArtefactError(
                f"{self.directory}: no split `{name}`", hint=f"the splits here are {', '.join(self.splits)}"
            )
        facts = self.manifest.facts["splits"][name]
        return TokenSplit(name, [TokenShard.open(self.directory / file) for file in facts["files"]], facts["data"])


def build(
    corpus: Corpus,
    tokenizer: Tokenizer,
    directory: Path,
    progress: Progress = SILENT,
    *,
    shard_tokens: int = SHARD_TOKENS,
) -> Shards:
    """Tokenize every split of `corpus` into `directory`, or open what is there if it is the same.

    Memory is bounded by the longest document plus a few megabytes, whatever the corpus.
    """
    inputs = {"corpus": corpus.fingerprint, "tokenizer": tokenizer.fingerprint}
    key = fingerprint.of_value({**inputs, "shard_tokens": shard_tokens, "version": SHARDS_VERSION})
    if storage.is_fresh(directory, KIND, key):
        return Shards.open(directory)
    total = sum(corpus.num_bytes(split) for split in corpus.splits)
    with storage.new_directory(directory) as new, progress.task("tokens", total, "B") as task:
        facts = {
            split: _write_split(split, corpus.documents(split), tokenizer, new, shard_tokens, task)
            for split in corpus.splits
        }
        storage.seal(new, KIND, key, inputs, {"splits": facts, "vocab_size": tokenizer.vocab_size})
    return Shards.open(directory)


def _write_split(
    split: str, documents: Iterable[Document], tokenizer: Tokenizer, directory: Path, shard_tokens: int, task: Task
) -> dict[str, object]:
    """Write the files of one split, one at least; return their names and the fingerprint of the documents."""
    files: list[str] = []
    data = DataHash()
    encoded = _encode(documents, tokenizer, task)
    pending = next(encoded, None)
    while pending is not None or not files:
        files.append(f"{split}-{len(files):05d}.tokens")
        with ShardWriter(
            directory / files[-1], tokenizer.vocab_size, tokenizer.fingerprint, tokenizer.end, tokenizer.begin
        ) as writer:
            while pending is not None and writer.num_tokens < shard_tokens:
                document, tokens = pending
                document_id = document.id  # a hash of the text: made each time it is asked for
                writer.append(document_id, tokens, document.num_bytes)
                data.update(document_id)
                pending = next(encoded, None)
    return {"files": files, "data": data.hexdigest()}


def _encode(
    documents: Iterable[Document], tokenizer: Tokenizer, task: Task
) -> Iterator[tuple[Document, npt.NDArray[np.uint32]]]:
    """Encode documents in batches of bounded size."""
    for batch in batches(documents, _BATCH_CHARACTERS):
        yield from zip(batch, tokenizer.encode_batch([document.text for document in batch]), strict=True)
        task.advance(sum(document.num_bytes for document in batch))
