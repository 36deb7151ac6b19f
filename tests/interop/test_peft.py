"""peft opens an adapter that was learnt here, and the two merge to the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import textus

from .conftest import ours, prompts

peft = pytest.importorskip("peft", reason="pip install peft")
transformers = pytest.importorskip("transformers", reason="pip install 'textus[hf]'")


def test_an_adapter_and_what_was_merged_agree(runs: Path) -> None:
    merged = textus.load(runs / "answers")
    base = transformers.AutoModelForCausalLM.from_pretrained(runs / "writes", dtype=torch.float32)
    base.resize_token_embeddings(merged.config.vocab_size, mean_resizing=False)
    model = peft.PeftModel.from_pretrained(base, runs / "answers" / "adapter").eval()
    for tokens in prompts(merged):
        with torch.inference_mode():
            found = model(torch.tensor([tokens])).logits[0].double()
        # rows of tokens that the base had never seen are not in the adapter: compare what it knew
        known = textus.load(runs / "writes").config.vocab_size
        with torch.inference_mode():
            here = merged.model(torch.tensor([tokens])).logits[0].double()
        assert (found[:, :known].log_softmax(-1) - here[:, :known].log_softmax(-1)).abs().max() < 1e-3
    assert ours(merged, prompts(merged)[0])
