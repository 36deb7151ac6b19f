"""From raw text to a model that another library opens: the whole house in a few seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import textus


def test_a_trained_run_is_a_hugging_face_model(trained: Path) -> None:
    transformers = pytest.importorskip("transformers")
    place = trained / "runs/first"
    ours = textus.load(place)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
    vocabulary = transformers.AutoTokenizer.from_pretrained(place)
    text = "The import statement combines two operations; it searches, and it binds."
    tokens = vocabulary(text, return_tensors="pt").input_ids
    assert tokens[0].tolist() == [ours.tokenizer.end, *ours.tokenizer.encode(text)]
    with torch.inference_mode():
        assert torch.allclose(ours.model(tokens).logits, theirs(tokens).logits, atol=1e-4)
    chain = ours.provenance
    assert chain["tokenizer"] == ours.tokenizer.fingerprint
    assert chain["corpus"] == textus.Corpus.open(place / "corpus").fingerprint
    assert chain["shards"] == textus.Shards.open(place / "shards").fingerprint
