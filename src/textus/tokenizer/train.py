"""Learn a vocabulary from the training part of a corpus (byte-level BPE, Sennrich et al. 2016, arXiv 1508.07909)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import pre_tokenizers, trainers

from textus import fingerprint, storage
from textus.corpus.corpus import Corpus
from textus.errors import TokenizerError
from textus.progress import SILENT, Progress, Task
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.pieces import pieces
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained, well_formed

TOKENIZER_VERSION = 1
"""Raised when the same text and settings would give another tokenizer, so that cached ones are made again."""
KIND = "tokenizer"
_SAMPLE_PIECE = 4096
"""Characters: small against any sample, so that the sample is even."""
_LEAST_COUNT = 2
"""How often a pair must occur to be merged: a token seen once teaches nothing."""


def choose_vocab_size(corpus_bytes: int) -> int:
    """Choose a vocabulary size for a training text, in UTF-8 bytes.

    4,096 at 12.5 MB, otherwise with the square root of the size, up to 32,768 (from 800 MB): a small text has too few
    examples of a rare token for its embedding to be learnt. A multiple of 64.

    >>> [choose_vocab_size(size) for size in (200_000, 1_000_000, 12_500_000, 50_000_000, 200_000_000, 10**12)]
    [512, 1152, 4096, 8192, 16384, 32768]
    """
    wanted = 4096 * math.sqrt(corpus_bytes / 12_500_000)
    return max(320, min(32_768, round(wanted / 64) * 64))


def build(corpus: Corpus, directory: Path, config: TokenizerConfig, progress: Progress = SILENT) -> Tokenizer:
    """Train a tokenizer on the training part of `corpus` in `directory`, or open the one there if it is the same."""
    key = fingerprint.of_value({"corpus": corpus.fingerprint, "config": config, "version": TOKENIZER_VERSION})
    if storage.is_fresh(directory, KIND, key):
        return Tokenizer.load(directory)
    texts = (document.text for document in corpus.documents("train"))
    tokenizer = train_tokenizer(texts, config, corpus.num_bytes("train"), progress)
    with storage.new_directory(directory) as new:
        tokenizer.save(new)
        facts = {"vocab_size": tokenizer.vocab_size, "fingerprint": tokenizer.fingerprint}
        storage.seal(new, KIND, key, {"corpus": corpus.fingerprint}, facts)
    return tokenizer


def train_tokenizer(
    texts: Iterable[str], config: TokenizerConfig, corpus_bytes: int, progress: Progress = SILENT
) -> Tokenizer:
    """Learn a vocabulary from `texts`, `corpus_bytes` of UTF-8 in all; the same texts always give the same one.

    An automatic size that the texts do not support becomes what they support; one that was asked for raises
    `TokenizerError`. Memory grows with the number of different words, not with the text.
    """
    wanted = choose_vocab_size(corpus_bytes) if config.vocab_size == "auto" else config.vocab_size
    trainer = trainers.BpeTrainer(
        vocab_size=wanted,
        min_frequency=_LEAST_COUNT,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine = untrained()
    limit = int(config.sample_mb * 1e6)
    with progress.task("tokenizer", min(corpus_bytes, limit), "B") as task:
        engine.train_from_iterator(_sample(texts, corpus_bytes, limit, task), trainer)
    supported = engine.get_vocab_size()
    if supported < wanted and config.vocab_size != "auto":
        raise TokenizerError(
            f"the text supports a vocabulary of {supported} tokens; got tokenizer.vocab_size = {wanted}",
            hint=f"set tokenizer.vocab_size to {supported} or less, leave it on auto, or give more text",
        )
    return finish(engine)


def _sample(texts: Iterable[str], corpus_bytes: int, limit: int, task: Task) -> Iterator[str]:
    """Yield pieces spread evenly over all `texts`, of about `limit` bytes together; all of them where that suffices."""
    share = min(1.0, limit / max(1, corpus_bytes))
    seen = taken = 0
    for text in texts:
        for piece in pieces(well_formed(text), _SAMPLE_PIECE):
            size = len(piece.encode())
            if share == 1.0 or taken <= seen * share:
                taken += size
                task.advance(size)
                yield piece
            seen += size
