"""sentence-transformers opens an encoder, and makes the same vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import textus

from .conftest import TEXTS

sentence_transformers = pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")


def test_vectors_are_equal(runs: Path) -> None:
    texts = [text[:12] for text in TEXTS if text.strip()]
    there = sentence_transformers.SentenceTransformer(str(runs / "encoder"), device="cpu")
    found = there.encode(texts, normalize_embeddings=True)
    assert np.abs(found - textus.embed(runs / "encoder", texts)).max() < 1e-4
