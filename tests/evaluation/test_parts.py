from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from textus.config import replace
from textus.corpus.document import Document
from textus.errors import ConfigError
from textus.evaluation.documents import frame
from textus.evaluation.estimate import ratio
from textus.evaluation.masked import evaluate_masked
from textus.evaluation.parts import parts
from textus.evaluation.perplexity import evaluate
from textus.model.transformer import Transformer

TEXTS = [("a", "the quick brown fox " * 3), ("b", "zzz qqq " * 8), ("a", "the lazy dog "), ("c", "x")]


def found_of(model: Any, tokenizer: Any, texts: list[tuple[str, str]]) -> Any:
    framed = [frame(tokenizer, Document(text, source)) for source, text in texts]
    return evaluate(model, tokenizer, framed, data="d", stride=8)


def test_the_scores_of_a_part_are_those_of_measuring_it_alone(model: Any, tokenizer: Any) -> None:
    whole = found_of(model, tokenizer, TEXTS)
    found = parts(whole, [source for source, _ in TEXTS], "source", "d")
    assert {row.name: row.documents for row in found.rows} == {"a": 2, "b": 1, "c": 1}
    for row in found.rows:
        alone = found_of(model, tokenizer, [one for one in TEXTS if one[0] == row.name])
        assert (row.tokens, row.num_bytes) == (alone.tokens, alone.num_bytes)
        for score, expected in zip(row.scores, alone.scores, strict=True):
            assert score.value == pytest.approx(expected.value, rel=1e-5)
            assert score.error == pytest.approx(expected.error, rel=1e-4)
    assert sum(row.tokens for row in found.rows) == whole.tokens
    bits = [next(score.value for score in row.scores if score.name == "bits_per_byte") for row in found.rows]
    assert bits == sorted(bits, reverse=True)


def test_every_document_has_a_row_and_a_name(model: Any, tokenizer: Any) -> None:
    found = parts(found_of(model, tokenizer, TEXTS), [source for source, _ in TEXTS], "document", "d")
    assert {row.name for row in found.rows} == {"a #1", "a #2", "b", "c"}
    assert [row["bytes"] for row in found.as_dict()] == [row.num_bytes for row in found.rows]
    assert "By document" in found.report().text() and "perplexity" in found.report().text()


def test_hidden_tokens_are_told_apart_where_documents_are_many(model: Any, tokenizer: Any) -> None:
    hybrid = Transformer(replace(model.config, {"attention": "bidirectional"}), seed=2).eval()
    texts = [TEXTS[number % 2] for number in range(30)]
    framed = [frame(tokenizer, Document(text, source)) for source, text in texts]
    whole = evaluate_masked(hybrid, tokenizer, framed, data="d")
    found = parts(whole, [source for source, _ in texts], "source", "d")
    total = sum(row.scores[0].value * row.tokens for row in found.rows)
    assert total / whole.tokens == pytest.approx(whole.score("masked_loss").value)
    few = evaluate_masked(hybrid, tokenizer, framed[:4], data="d")
    with pytest.raises(ConfigError, match="4 documents were not kept apart"):
        parts(few, ["a"] * 4, "source", "d")


def test_many_documents_are_shown_by_the_hardest(model: Any, tokenizer: Any) -> None:
    texts = [(f"s{number}", TEXTS[number % 2][1]) for number in range(45)]
    found = parts(found_of(model, tokenizer, texts), [source for source, _ in texts], "source", "d")
    assert len(found.rows) == 45 and len(found.table().rows) == 40
    assert "the 40 hardest of 45" in found.report().title
    assert np.isfinite([score.error for row in found.rows for score in row.scores]).all()


def test_the_error_is_that_of_a_bootstrap_over_documents() -> None:
    numbers = np.random.default_rng(1)
    tokens = numbers.integers(5, 400, 80).astype(np.float64)
    nats = tokens * numbers.normal(3, 0.5, 80)
    weights = numbers.multinomial(80, np.full(80, 1 / 80), 4000)
    assert ratio(nats, tokens)[1] == pytest.approx(((weights @ nats) / (weights @ tokens)).std(ddof=1), rel=0.06)
