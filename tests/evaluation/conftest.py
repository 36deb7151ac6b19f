from collections.abc import Iterator

import pytest
import torch
from tokenizers import pre_tokenizers, trainers

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Such small products only lose by sharing them out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer) -> Transformer:
    """A small model with weights wide enough that its logits are far apart."""
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=16,
        num_layers=2,
        hidden_size=32,
        num_heads=4,
        num_kv_heads=2,
        head_size=8,
        intermediate_size=48,
        tied_embeddings=False,
        dropout=0.1,
    )
    model = Transformer(config, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    return model.eval()
