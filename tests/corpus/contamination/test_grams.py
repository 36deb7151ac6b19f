from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.config import CorpusConfig
from textus.corpus.contamination.grams import SUFFIX, Grams, training_grams
from textus.corpus.pipeline import build

WORDS = st.lists(st.sampled_from("ABCDE"), max_size=12).map(" ".join)


@given(st.lists(WORDS, max_size=5), st.lists(WORDS, min_size=1, max_size=5), st.integers(1, 4))
def test_coverage_is_that_of_sets(train: list[str], texts: list[str], size: int) -> None:
    def runs(text: str) -> list[tuple[str, ...]]:
        words = text.split()
        return [tuple(words[at : at + size]) for at in range(max(min(1, len(words)), len(words) - size + 1))]

    known = {run for text in train for run in runs(text)}
    expected = [sum(run in known for run in runs(text)) / max(1, len(runs(text))) for text in texts]
    assert Grams.of(train, size).coverage(texts).tolist() == pytest.approx(expected)


def test_what_is_not_there_is_seldom_found() -> None:
    rng = np.random.default_rng(0)
    train, others = (" ".join(f"w{number}" for number in rng.integers(0, 10**6, 200_000)) for _ in range(2))
    grams = Grams.of([train], 13, len(train))
    assert grams.coverage([train])[0] == 1
    false = grams.holds(TextBatch([others]).ngrams(13)[0]).mean()
    assert false < 0.005 and abs(false - grams.false_share) < 0.001


@pytest.fixture
def corpus(tmp_path: Path):
    lines = (json.dumps({"text": " ".join(f"w{number}x{at}" for at in range(40))}) for number in range(60))
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    return build([tmp_path / "texts.jsonl"], tmp_path / "corpus", CorpusConfig())


def test_a_corpus_keeps_its_runs_beside_it(corpus, tmp_path: Path) -> None:
    first = training_grams(corpus, 13)
    texts = [[document.text for document in corpus.documents(name)] for name in ("train", "validation")]
    assert first.coverage(texts[0]).min() == 1 and first.coverage(texts[1]).max() == 0
    (kept,) = (tmp_path / f"corpus{SUFFIX}").glob("*.npy")
    when = kept.stat().st_mtime_ns
    again = training_grams(corpus, 13)
    assert kept.stat().st_mtime_ns == when and np.array_equal(first.bits, again.bits)
    training_grams(corpus, 8)
    assert kept.stat().st_mtime_ns != when


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_where_nothing_can_be_kept_the_answer_is_the_same(corpus, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert training_grams(corpus, 13).size == 13
    finally:
        tmp_path.chmod(0o700)
