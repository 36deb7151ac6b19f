"""Megabytes per CPU-second of learning a vocabulary and of encoding, beside the library `tokenizers` in the same run.

python benchmarks/tokenizer.py TEXT.xz [MEGABYTES] [VOCAB_SIZE]        documents end with a line <|endoftext|>
"""

from __future__ import annotations

import json
import lzma
import resource
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import pre_tokenizers, trainers

from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.content import SPECIAL_TOKENS, untrained
from textus.tokenizer.tokenizer import Tokenizer, finish
from textus.tokenizer.train import assembled, count_words, learnt

ENCODERS = ("builtin", "gigatoken", "fastokens", "tiktoken", "tokenizers")


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` returns, and the CPU-seconds of all threads."""
    began = time.process_time()
    return work(), time.process_time() - began


def theirs(texts: list[str], vocab_size: int) -> Tokenizer:
    engine = untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(texts, trainer)
    return finish(engine)


def main() -> None:
    megabytes = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    vocab_size = int(sys.argv[3]) if len(sys.argv) > 3 else 32_768
    with lzma.open(Path(sys.argv[1]), "rt", encoding="utf-8") as file:
        texts = file.read(int(megabytes * 1e6)).split("<|endoftext|>\n")
    size = sum(len(text.encode()) for text in texts)
    counts, counting = timed(lambda: count_words(texts, TokenizerConfig(), size))
    merges, merging = timed(lambda: learnt(counts, vocab_size))
    ours = assembled(merges)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    other, training = timed(lambda: theirs(texts, vocab_size))
    rates: dict[str, float] = {
        "train: counting": size / counting / 1e6,
        "train: counting and merging": size / (counting + merging) / 1e6,
        "train: tokenizers": size / training / 1e6,
    }
    expected: list[Any] = []
    for name in ENCODERS:
        if name != "builtin" and find_spec(name) is None:
            continue
        tokenizer = Tokenizer(ours._content)
        tokenizer.use(name)
        for warmth in ("cold", "warm"):
            tokens, seconds = timed(lambda: tokenizer.encode_batch(texts))  # noqa: B023 - called at once
            rates[f"encode: {name}, {warmth}"] = size / seconds / 1e6
        expected = expected or tokens
        assert all(map(np.array_equal, expected, tokens)), name
    rates = {name: round(rate, 1) for name, rate in rates.items()}
    for name, rate in rates.items():
        print(f"{name:>32} {rate:8} MB per CPU-second", file=sys.stderr)
    result = {
        "benchmark": "tokenizer",
        "megabytes": size / 1e6,
        "different_words": len(counts),
        "vocab_size": ours.vocab_size,
        "same_file_as_tokenizers": ours.fingerprint == other.fingerprint,
        "peak_mib_after_training": round(peak),
        "mb_per_cpu_second": rates,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
