"""Tiny models for the tests, with weights wide enough that their logits are far apart."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers, trainers

from textus.checkpoint.checkpoint import write_model
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained

CONTEXT = 256


def tokenizer() -> Tokenizer:
    engine = untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(["the quick brown fox jumps over the lazy dog. " * 20], trainer)
    return finish(engine)


def write(directory: Path, reads: str = "causal", seed: int = 1, context: int = CONTEXT) -> Path:
    """Write a model directory; `reads` is causal or bidirectional."""
    words = tokenizer()
    config = ModelConfig(
        vocab_size=words.vocab_size,
        context_length=context,
        num_layers=2,
        hidden_size=32,
        num_heads=4,
        num_kv_heads=2,
        head_size=8,
        intermediate_size=48,
        tied_embeddings=False,
        attention=reads,
        prediction_offset=1 if reads == "causal" else 0,
    )
    model = Transformer(config, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    directory.mkdir(parents=True)
    write_model(directory, model.eval(), words, {}, {"do_sample": True, "top_k": 0, "max_new_tokens": 12})
    return directory
