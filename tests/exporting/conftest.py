"""Small models of every kind, on disk as a run leaves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.config import SamplingConfig
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.train import train_tokenizer

TEXT = "The weaver's loom wove 1234 ells of cloth, à peu près; nobody wore them. 天地玄黃 def f(x):\n\treturn x + 1\n\n"
ENCODER = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}

Made = Callable[..., Checkpoint]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Such small products only lose by sharing them out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer([TEXT * 20], TokenizerConfig(vocab_size=320), len(TEXT.encode()) * 20)


@pytest.fixture(scope="session")
def made(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Write a model of random weights, wide enough that what it predicts hangs on all that it reads, and open it."""
    known: dict[str, Checkpoint] = {}

    def make(sampling: SamplingConfig | None = None, **changes: Any) -> Checkpoint:
        key = repr((sampling, changes))
        if key not in known:
            shape: dict[str, Any] = {
                "vocab_size": 336,
                "context_length": 32,
                "num_layers": 2,
                "hidden_size": 64,
                "num_heads": 4,
                "num_kv_heads": 2,
                "head_size": 16,
                "intermediate_size": 96,
                "tied_embeddings": False,
            }
            model = Transformer(ModelConfig(**(shape | changes)), seed=1).eval()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.dim() > 1:
                        parameter.mul_(6)
                    elif name.endswith("norm.weight"):
                        parameter.add_(torch.linspace(-0.3, 0.3, len(parameter)))
            directory = tmp_path_factory.mktemp("made") / "model"
            directory.mkdir()
            sampling_config = (sampling or SamplingConfig()).generation_config()
            checkpoint.write_model(directory, model, tokenizer, {}, sampling_config)
            known[key] = checkpoint.load(directory)
        return known[key]

    return make


@pytest.fixture(scope="session")
def rows(tokenizer: Tokenizer) -> torch.Tensor:
    tokens = [tokenizer.end, *tokenizer.encode(TEXT)][:24]
    return torch.tensor([tokens, [tokenizer.end, *tokens[:0:-1]]])
