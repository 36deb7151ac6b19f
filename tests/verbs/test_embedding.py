"""Texts as directions, held against one window of one text at a time."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import textus
from textus.corpus.trail import Trail
from textus.errors import CheckpointError, ConfigError
from textus.verbs import embedding as module
from textus.verbs.embedding import embedding

TEXTS = ["", "One.", "A text of some words, for a start.", "and so on " * 90, "Another text of a few words."]


def slowly(run: Path, text: str) -> np.ndarray:
    """The states of all tokens of a text, window by window, summed."""
    opened = textus.load(run)
    size = opened.config.context_length - 1
    tokens, total = opened.tokenizer.encode(text), torch.zeros(opened.config.hidden_size)
    with torch.inference_mode():
        for start in range(0, len(tokens), size):
            row = torch.tensor([[opened.tokenizer.end, *tokens[start : start + size]]])
            total += opened.model(row).hidden[0, 1:].sum(0)
    return total.numpy()


def test_a_text_is_read_whole_whatever_stands_beside_it(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained / "runs" / "first"
    found = embedding(str(run)).embed(TEXTS)
    assert found.shape == (len(TEXTS), textus.load(run).config.hidden_size)
    for row, text in zip(found, TEXTS, strict=True):
        assert row == pytest.approx(slowly(run, text), rel=1e-3, abs=1e-3)
    monkeypatch.setattr(module, "_BATCH_TOKENS", 1)
    alone = embedding(str(run))
    assert np.allclose(alone.embed(TEXTS), found, rtol=1e-3, atol=1e-3)
    assert alone.embed([""]).any() == 0 and alone.key == embedding(str(run)).key


def test_a_corpus_is_cleaned_by_meaning_as_it_is_typed(trained: Path, desk: Any) -> None:
    """Copies with a fifth of their words in another order: no near duplicates, and the same in meaning."""
    run, draw = trained / "runs" / "first", random.Random(0)
    texts = [" ".join(path.read_text("utf-8").split()) for path in sorted((trained / "my_texts").glob("*.txt"))]
    for number, text in enumerate(texts[:5]):
        words = text.split()
        for at in range(0, len(words) - 4, 4):
            words[at : at + 4] = draw.sample(words[at : at + 4], 4)
        texts.append(" ".join([*words, f"Copy {number}."]))
    Path("in.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    desk.type(f"textus clean in.jsonl -o runs/a corpus.semantic.model={run} corpus.semantic.threshold=0.8")
    steps = list(Trail.open(textus.Corpus.open(Path("runs/a/corpus"))))
    dropped = [step for step in steps if step.decision.reason == "same in other words"]
    assert [step for step in steps if step.decision.reason] == dropped
    pairs = [(step.document.text.split(), steps[step.decision.match].document.text.split()) for step in dropped]
    copies = [one for one, other in pairs if len(set(one) ^ set(other)) <= 2 and one != other]
    assert len(copies) >= 4, [(step.decision.score, step.document.text[:40]) for step in dropped]


def test_a_directory_of_transformers_serves_too(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra `hf` is not installed")
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=12, **shape)
    model = transformers.BertModel(config).eval()
    model.save_pretrained(tmp_path)
    texts = ["a b c", "c a b", "h g", "a " * 30, ""]
    found = embedding(str(tmp_path)).embed(texts)
    with torch.inference_mode():
        tokens = torch.tensor([[2, 4, 5, 6, 3]])
        wanted = model(input_ids=tokens).last_hidden_state[0].sum(0).numpy()
    assert found[0] == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    assert found.shape == (5, 16) and found[3].any() and not found[4].any()


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match="a model for sentence_transformers, which is not installed"):
        embedding(str(tmp_path))


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        embedding(str(tmp_path / "nowhere"))
    with pytest.raises(CheckpointError, match="no model's directory"):
        embedding(str(tmp_path))
