"""From queries and answers to a model that finds them, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textus
from textus.errors import ConfigError, InputError

ROWS = [
    {"query": f"{one}{two}?", "positive": f"the {one}{two} cloth", "negatives": [f"the {two}{one} loom"]}
    for one in "abcdefg"
    for two in "hijkl"
]


@pytest.mark.filterwarnings("ignore")
def test_what_answers_is_found_and_opens_in_sentence_transformers(
    starts: dict[str, Path], write: Any, small: dict[str, Any], tmp_path: Path
) -> None:
    changes = {"training.seeds": 1, "training.batch_size": 16, "training.micro_batch_tokens": 8 * 48, "dimensions": [8]}
    found = textus.adapt(
        starts["encoder"], write("a.jsonl", ROWS), method="embed", out=tmp_path / "o", settings=small | changes
    )
    rows = {row["name"]: row["measures"] for row in found.facts["rows"]}
    names = ["ndcg_at_10", "recall_at_100", "ndcg_at_10_of_8", "recall_at_100_of_8"]
    assert [score.name for score in found.scores] == names
    assert rows["this model"]["ndcg_at_10"]["value"] > rows["before it was adapted"]["ndcg_at_10"]["value"]
    if "BM25" in rows:
        assert rows["BM25"]["ndcg_at_10"]["value"] > 0.9
    assert found.facts["passages"] == 70
    texts = ["ah?", "the ah cloth", ""]
    mine = textus.embed(found.directory, texts)
    library = pytest.importorskip("sentence_transformers")
    assert mine == pytest.approx(
        library.SentenceTransformer(str(found.directory), device="cpu").encode(texts), abs=1e-4
    )
    assert np.linalg.norm(mine, axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("kind", "changes", "error", "words"),
    [
        ("causal", {"pooling": "cls"}, ConfigError, "has seen nothing of the text"),
        ("encoder", {"dimensions": [32]}, ConfigError, "the model's vectors have 32 numbers"),
        ("encoder", {}, InputError, "passage .* at most 48"),
    ],
)
def test_what_cannot_be_is_refused(
    starts: dict[str, Path],
    write: Any,
    small: dict[str, Any],
    tmp_path: Path,
    kind: str,
    changes: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    rows = ROWS if changes else [*ROWS, {"query": "q", "positive": "long " * 20}]
    with pytest.raises(error, match=words):
        textus.adapt(starts[kind], write("a.jsonl", rows), method="embed", out=tmp_path / "o", settings=small | changes)
