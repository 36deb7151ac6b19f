"""Learn a vocabulary from the training part of a corpus (byte-level BPE, Sennrich et al. 2016, arXiv 1508.07909)."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from textus import fingerprint, storage
from textus.corpus.corpus import Corpus
from textus.errors import TokenizerError
from textus.progress import SILENT, Progress, Task
from textus.tokenizer import sizes
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.config import SMALLEST_VOCABULARY, TokenizerConfig
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.counts import Counts, WordCounter
from textus.tokenizer.merges import Pair, learn_merges
from textus.tokenizer.pieces import PIECE, pieces
from textus.tokenizer.tokenizer import Tokenizer, well_formed

TOKENIZER_VERSION = 2
"""Raised when the same text and settings would give another tokenizer, so that cached ones are made again."""
KIND = "tokenizer"
SIZES = "sizes.json"
"""What was measured of each size, where the size was chosen by measurement."""
_SAMPLE_PIECE = 4096
"""Characters: small against any sample, so that the sample is even."""
_LEAST_COUNT = 2
"""How often a pair must occur to be merged: a token seen once teaches nothing."""
_WORTH_AN_ENGINE = 4_000_000
"""Bytes of a corpus from which another encoder saves more time than it takes to load and test it."""


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
    """Train a tokenizer on the training part of `corpus` in `directory`, or open the one there if it is the same.

    It encodes by `config.encoder`, which has no part in what it is.
    """
    learnt = {"vocab_size": config.vocab_size, "sample_mb": config.sample_mb}
    key = fingerprint.of_value({"corpus": corpus.fingerprint, "config": learnt, "version": TOKENIZER_VERSION})
    if storage.is_fresh(directory, KIND, key):
        tokenizer = Tokenizer.load(directory)
    else:
        texts = (document.text for document in corpus.documents("train"))
        measured = None
        if config.vocab_size == "measured":
            tokenizer, measured = _measured(corpus, config, progress)
        else:
            tokenizer = train_tokenizer(texts, config, corpus.num_bytes("train"), progress)
        with storage.new_directory(directory) as new:
            tokenizer.save(new)
            if measured:
                storage.write_json(new / SIZES, measured.as_dict())
            facts = {"vocab_size": tokenizer.vocab_size, "fingerprint": tokenizer.fingerprint}
            storage.seal(new, KIND, key, {"corpus": corpus.fingerprint}, facts)
    if config.encoder != "auto" or corpus.num_bytes("train") >= _WORTH_AN_ENGINE:
        tokenizer.use(config.encoder, progress)
    return tokenizer


def adopt(origin: Path, directory: Path) -> Tokenizer:
    """Take the tokenizer of a model's directory into `directory`, where it is not there yet."""
    tokenizer = Tokenizer.load(origin)
    said = {"begin": tokenizer.begin, "end": tokenizer.end, "stops": tokenizer.stops}
    key = fingerprint.of_value({"adopted": tokenizer.fingerprint, **said, "version": TOKENIZER_VERSION})
    if not storage.is_fresh(directory, KIND, key):
        with storage.new_directory(directory) as new:
            tokenizer.save(new)
            facts = {"vocab_size": tokenizer.vocab_size, "fingerprint": tokenizer.fingerprint}
            storage.seal(new, KIND, key, {}, facts)
    return Tokenizer.load(directory)


def train_tokenizer(
    texts: Iterable[str], config: TokenizerConfig, corpus_bytes: int, progress: Progress = SILENT
) -> Tokenizer:
    """Learn a vocabulary from `texts`, `corpus_bytes` of UTF-8 in all; the same texts always give the same one.

    An automatic size that the texts do not support becomes what they support; one that was asked for raises
    `TokenizerError`. Memory is bounded whatever the text.
    """
    asked = config.vocab_size
    wanted = asked if isinstance(asked, int) else choose_vocab_size(corpus_bytes)
    counts = count_words(texts, config, corpus_bytes, progress)
    tokenizer = assembled(learnt(counts, wanted))
    if tokenizer.vocab_size < wanted and wanted == asked:
        raise TokenizerError(
            f"the text supports a vocabulary of {tokenizer.vocab_size} tokens; got tokenizer.vocab_size = {wanted}",
            hint=f"set tokenizer.vocab_size to {tokenizer.vocab_size} or less, leave it on auto, or give more text",
        )
    return tokenizer


def count_words(
    texts: Iterable[str], config: TokenizerConfig, corpus_bytes: int, progress: Progress = SILENT
) -> Counts:
    """Count the words of the sample of `texts` that the settings allow."""
    limit = int(config.sample_mb * 1e6)
    with tempfile.TemporaryDirectory(prefix="textus-words-") as folder:
        counter = WordCounter(Path(folder))
        with progress.task("tokenizer", min(corpus_bytes, limit), "B") as task:
            for piece in _sample(texts, corpus_bytes, limit, task):
                counter.add(piece)
        return counter.counts()


def _measured(corpus: Corpus, config: TokenizerConfig, progress: Progress) -> tuple[Tokenizer, sizes.Measured]:
    """Train at the largest size, measure all on the validation part, and return the one chosen."""
    texts = (document.text for document in corpus.documents("train"))
    num_bytes = corpus.num_bytes("train")
    merges = learnt(count_words(texts, config, num_bytes, progress), sizes.CANDIDATES[-1])
    with SILENT.task("", 0, "") as task:
        part = list(_sample((d.text for d in corpus.documents("train")), num_bytes, sizes.TRAIN_BYTES, task))
    held_out = sizes.within((document.text for document in corpus.documents("validation")), sizes.HELD_OUT_BYTES)
    scale = max(1.0, num_bytes / sizes.TRAIN_BYTES)

    def make(size: int) -> Tokenizer:
        return assembled(merges[: size - SMALLEST_VOCABULARY])

    found = sizes.measure(SMALLEST_VOCABULARY + len(merges), make, part, held_out, scale, progress)
    return make(found.chosen), found


def learnt(counts: Counts, vocab_size: int) -> list[Pair]:
    """Learn the merges of counted words for `vocab_size` tokens, or fewer where no other pair occurs twice."""
    tokens = {BYTES[name]: len(SPECIAL_TOKENS) + rank for rank, name in enumerate(sorted(BYTES))}
    return learn_merges(
        (word.encode() for word in counts),
        list(counts.values()),
        [tokens[byte] for byte in range(256)],
        vocab_size - SMALLEST_VOCABULARY,
        _LEAST_COUNT,
    )


def assembled(merges: Sequence[Pair]) -> Tokenizer:
    """Make the tokenizer of merges: special tokens, single bytes, then what each merge makes."""
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    for left, right in merges:
        names.append(names[left] + names[right])
    pairs = [(names[left], names[right]) for left, right in merges]
    return Tokenizer(trained({name: token for token, name in enumerate(names)}, pairs))


def _sample(texts: Iterable[str], corpus_bytes: int, limit: int, task: Task) -> Iterator[str]:
    """Yield pieces spread evenly over all `texts`, of about `limit` bytes together; all of them where that suffices."""
    share = min(1.0, limit / max(1, corpus_bytes))
    piece_size = _SAMPLE_PIECE if share < 1.0 else PIECE
    seen = taken = 0
    for text in texts:
        for piece in pieces(well_formed(text), piece_size):
            size = len(piece.encode())
            if share == 1.0 or taken <= seen * share:
                taken += size
                task.advance(size)
                yield piece
            seen += size
