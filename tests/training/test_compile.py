from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.training import compile as compilation
from textus.training.compile import CACHE, compiled


@pytest.mark.filterwarnings("ignore")  # of the compiler, about what it looks at: it throws them away itself
def test_one_block_is_compiled_for_all_and_only_for_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    counter = CompileCounter()
    monkeypatch.setattr(compilation.torch, "compile", partial(torch.compile, backend=counter))
    monkeypatch.setattr(compilation.Path, "home", lambda: tmp_path)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    model = Transformer(ModelConfig(16, 8, 6, 16, 2, 1, 8, 24), seed=1)
    tokens, documents = torch.randint(16, (2, 8)), torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2]] * 2)
    plain = model.encode(tokens, documents)
    with compiled(model):
        first = model.encode(tokens, documents)
        graphs = counter.frame_count
        assert torch.equal(model.encode(tokens.flip(1), documents), model.encode(tokens.flip(1), documents))
        assert counter.frame_count == graphs <= 3, "the first block, all others, and the last norm"
        model.eval()
        model.encode(tokens[:1, :5])
        assert counter.frame_count == graphs
        model.train()
    torch.testing.assert_close(first, plain)
    assert "forward" not in vars(model.blocks[0])
    assert "finish" not in vars(model)
    assert (tmp_path / CACHE).is_dir()
