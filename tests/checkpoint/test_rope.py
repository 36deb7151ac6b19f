"""Stretched positions, as transformers computes them: before a model is saved, and after."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from textus.checkpoint.checkpoint import load_model, read_config, write_model
from textus.checkpoint.families import from_config, to_config, to_weights
from textus.errors import CheckpointError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.train import assembled

transformers = pytest.importorskip("transformers")

PATH = Path("config.json")
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
CONFIG = ModelConfig(
    vocab_size=300,
    context_length=256,
    num_layers=2,
    hidden_size=32,
    num_heads=2,
    num_kv_heads=1,
    head_size=16,
    intermediate_size=48,
)
KINDS: dict[str, dict[str, Any]] = {
    "none": {},
    "base": {"rope_theta": 500_000.0},
    "linear": {"rope_scaling": "linear", "rope_factor": 4.0},
    "yarn": {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original_context": 64},
    "yarn from 16": {"rope_scaling": "yarn", "rope_factor": 16.0, "rope_original_context": 16, "rope_theta": 1e6},
    "llama3": {"rope_scaling": "llama3", "rope_factor": 8.0, "rope_original_context": 64, "rope_theta": 300.0},
}


def model(kind: str) -> Transformer:
    """Weights wide enough that a wrong angle shows."""
    made = Transformer(dataclasses.replace(CONFIG, **KINDS[kind]), seed=1).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return made


TOKENS = torch.randint(256, (2, 256), generator=torch.Generator().manual_seed(0))


def counterpart(ours: Transformer) -> Any:
    """Return transformers' model of the same config and weights, which no file has held."""
    theirs = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**to_config(ours.config, ENDS, "float32")))
    weights = to_weights(ours.state_dict(), ours.config)
    theirs.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]})
    return theirs.eval()


def same(ours: Transformer, theirs: Any) -> torch.Tensor:
    with torch.inference_mode():
        wanted: torch.Tensor = theirs(TOKENS).logits
        assert wanted.std() > 0.5, "logits near zero would agree by chance"
        torch.testing.assert_close(ours(TOKENS).logits, wanted, rtol=1e-4, atol=1e-4)
    return wanted


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_the_same_logits(kind: str, tmp_path: Path) -> None:
    ours = model(kind)
    same(ours, counterpart(ours))
    write_model(tmp_path, ours, assembled([]), {})
    wanted = same(ours, transformers.AutoModelForCausalLM.from_pretrained(tmp_path))
    assert read_config(tmp_path) == ours.config
    with torch.inference_mode():
        torch.testing.assert_close(load_model(tmp_path)(TOKENS).logits, wanted, rtol=1e-4, atol=1e-4)


def test_the_kinds_differ() -> None:
    with torch.inference_mode():
        logits = [model(kind)(TOKENS).logits for kind in KINDS]
    for number, one in enumerate(logits):
        assert all((one - other).abs().max() > 0.1 for other in logits[:number])


@pytest.mark.parametrize("kind", KINDS)
def test_what_transformers_writes_is_read(kind: str, tmp_path: Path) -> None:
    ours = model(kind)
    counterpart(ours).save_pretrained(tmp_path)
    assert read_config(tmp_path) == ours.config
    same(load_model(tmp_path), transformers.AutoModelForCausalLM.from_pretrained(tmp_path))


def test_the_older_spelling_is_read() -> None:
    values = to_config(CONFIG, ENDS, "float32")
    del values["rope_parameters"]
    values |= {"rope_theta": 1e6, "rope_scaling": {"type": "yarn", "factor": 4, "attention_factor": None}}
    found = from_config(values, PATH)
    assert (found.rope_theta, found.rope_scaling, found.rope_factor) == (1e6, "yarn", 4.0)
    assert found.rope_original_context == 256, "as transformers takes it where it is not said"


@pytest.mark.parametrize(
    ("rope", "words"),
    [
        ({"rope_type": "dynamic", "factor": 2.0}, "rope_type=dynamic"),
        ({"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 8.0}, "high_freq_factor=8.0"),
        ({"rope_type": "default", "mrope_section": [2, 3]}, "mrope_section="),
        ({"rope_type": "yarn", "factor": 4.0, "beta_fast": 16}, "beta_fast=16"),
        ({"rope_type": "yarn", "factor": 4.0, "truncate": False}, "truncate=False"),
        ({"rope_type": "yarn", "factor": 4.0, "mscale": 0.7}, "mscale=0.7"),
        ({"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.0}, "attention_factor=1.0"),
        ({"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5"),
        ({"rope_type": "linear"}, "rope_factor"),
        ({"rope_type": "linear", "factor": "two"}, "rope_factor"),
    ],
)
def test_what_we_do_not_do_is_named(rope: dict[str, Any], words: str) -> None:
    values = {**to_config(CONFIG, ENDS, "float32"), "rope_parameters": {"rope_theta": 1e4, **rope}}
    with pytest.raises(CheckpointError, match=words):
        from_config(values, PATH)


def test_the_usual_numbers_may_be_written_out() -> None:
    rope = {
        "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64,
        "beta_fast": 32, "beta_slow": 1.0, "attention_factor": 1.138629436111989, "truncate": True,
    }  # fmt: skip
    found = from_config({**to_config(CONFIG, ENDS, "float32"), "rope_parameters": rope}, PATH)
    assert found == dataclasses.replace(CONFIG, **KINDS["yarn"])
