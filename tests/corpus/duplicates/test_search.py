"""The whole search, held against comparing everything with everything."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.duplicates.clusters import preference, repeats
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.search import joined, verified_pairs
from textus.corpus.read import read

DIRTY = Path(__file__).parents[3] / "../shared/data/dirty/dirty_dev.jsonl.zst"


def runs_of(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))} if words else set()


def edited(rng: np.random.Generator, words: list[str], rate: float) -> list[str]:
    return [word if rng.random() >= rate else f"new{rng.integers(10**6)}" for word in words]


def test_everything_alike_is_found_and_scored_as_sets_say() -> None:
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(30):
        words = [f"w{word}" for word in rng.integers(0, 5000, 150)]
        texts += [" ".join(edited(rng, words, rate)) for rate in (0.0, 0.01, 0.05, 0.3)]
    texts += ["", "one two", "One, two!", "..."]
    pairs, found = verified_pairs(texts, DuplicatesConfig())
    scores = {tuple(pair): score for pair, score in zip(pairs.tolist(), found.jaccard.tolist(), strict=True)}
    sets = [runs_of(text.replace(",", "").replace("!", "").replace(".", "")) for text in texts]
    for a, b in combinations(range(len(texts)), 2):
        likeness = len(sets[a] & sets[b]) / max(len(sets[a] | sets[b]), 1)
        assert scores.get((a, b), likeness) == pytest.approx(likeness)
        assert likeness < 0.7 or (a, b) in scores
    assert scores[len(texts) - 3, len(texts) - 2] == 1.0


def test_nothing_is_in_no_texts() -> None:
    pairs, found = verified_pairs([], DuplicatesConfig())
    assert len(pairs) == len(found) == 0
    assert len(joined([])[1]) == 1


@pytest.mark.skipif(not DIRTY.exists(), reason="the shared data is not there")
def test_no_dropped_document_of_real_dirt_is_unlike_its_match() -> None:
    texts = [document.text for document, _ in zip(read([DIRTY], CorpusConfig()), range(1500), strict=False)]
    config = DuplicatesConfig()
    found = repeats(
        *verified_pairs(texts, config), preference(np.zeros(1500, int), np.array([*map(len, texts)])), config
    )
    assert len(found.documents) > 20
    for document, match in zip(found.documents.tolist(), found.matches.tolist(), strict=True):
        one, other = (runs_of("".join(c if c.isalnum() else " " for c in texts[n])) for n in (document, match))
        assert len(one & other) >= 0.7 * len(one | other)
