"""transformers opens every run as it is, and agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.checkpoint.checkpoint import Checkpoint

from .conftest import TALK, TEXTS, USUAL, ends, flat, ours, prompts, talk_tokens

transformers = pytest.importorskip("transformers", reason="pip install 'textus[hf]'")


@pytest.fixture(scope="module")
def theirs(writer: Checkpoint) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(writer.directory, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(writer: Checkpoint) -> Any:
    return transformers.AutoTokenizer.from_pretrained(writer.directory)


def test_log_probabilities_are_equal(writer: Checkpoint, theirs: Any) -> None:
    for tokens in prompts(writer):
        with torch.inference_mode():
            found = theirs(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
        read = [found[place, token].item() for place, token in enumerate(tokens[1:])]
        assert read == pytest.approx(ours(writer, tokens), abs=1e-4)


def test_it_writes_the_same(writer: Checkpoint, theirs: Any) -> None:
    usual = {"max_new_tokens": 8, "do_sample": False, "repetition_penalty": 1.0, "eos_token_id": None}
    for tokens in prompts(writer):
        asked = torch.tensor([tokens])
        # texts begin with the token that pads; without an end, `generate` would take the first for padding and hide it
        there = theirs.generate(asked, attention_mask=torch.ones_like(asked), **usual)
        with torch.inference_mode():
            logits = writer.model(there).logits[0, len(tokens) - 1 : -1]
        chosen = logits.gather(1, there[0, len(tokens) :, None])
        assert len(chosen) == 8 and (logits.max(1, keepdim=True).values - chosen).max() < 1e-3  # but for ties


def test_tokens_are_the_same(writer: Checkpoint, tokenizer: Any) -> None:
    for text in TEXTS:
        assert tokenizer.encode(text, add_special_tokens=False) == writer.tokenizer.encode(text)


def test_turns_ends_and_usual_sampling_are_the_same(writer: Checkpoint, theirs: Any, tokenizer: Any) -> None:
    if (expected := talk_tokens(writer)) is not None:
        found = tokenizer.apply_chat_template(TALK, add_generation_prompt=True, return_dict=False)
        assert found == expected
    assert flat(theirs.generation_config.eos_token_id) == ends(writer)
    assert {name: getattr(theirs.generation_config, name) for name in USUAL} == USUAL


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("told", ["in the call", "in the config"])
def test_a_hybrid_reads_both_ways_there_too(runs: Path, attention: str, told: str) -> None:
    """Alone and in a padded batch, where a mask is made that could hide what follows."""
    opened = textus.load(runs / "hybrid")
    kind = transformers.AutoModelForCausalLM
    model = kind.from_pretrained(opened.directory, attn_implementation=attention, dtype=torch.float32).eval()
    call = {"is_causal": False} if told == "in the call" else {}
    if told == "in the config":
        model.config.is_causal = False
    rows = [tokens[:length] for tokens, length in zip(prompts(opened), (32, 9, 20), strict=True)]
    padded, mask = torch.zeros(3, 32, dtype=torch.long), torch.zeros(3, 32, dtype=torch.long)
    for row, tokens in enumerate(rows):
        padded[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
    with torch.inference_mode():
        together = model(padded, attention_mask=mask, **call).logits
        for row, tokens in enumerate(rows):
            alone = torch.tensor([tokens])
            here = opened.model(alone, attention="bidirectional").logits[0]
            assert (model(alone, **call).logits[0] - here).abs().max() < 1e-4
            assert (together[row, : len(tokens)] - here).abs().max() < 1e-4
            assert (opened.model(alone).logits[0] - here).abs().max() > 1e-2


def test_an_encoder_opens(runs: Path) -> None:
    opened = textus.load(runs / "encoder")
    model = transformers.AutoModelForMaskedLM.from_pretrained(opened.directory).eval()
    tokens = torch.tensor([opened.tokenizer.frame(opened.tokenizer.encode(TEXTS[2]))[:48]])
    with torch.inference_mode():
        assert (model(tokens).logits - opened.model(tokens).logits).abs().max() < 1e-3
