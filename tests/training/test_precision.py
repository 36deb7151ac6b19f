from __future__ import annotations

import pytest
import torch

from textus.errors import ConfigError
from textus.model.precision import Precision as Name
from textus.training.precision import Precision, resolve

CASES: list[tuple[Name, torch.dtype]] = [
    ("fp32", torch.float32),
    ("bf16", torch.bfloat16),
    ("fp16", torch.float16),
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_products_are_in_the_type_that_was_asked_for_and_weights_stay(name: Name, dtype: torch.dtype) -> None:
    linear = torch.nn.Linear(8, 8, bias=False)
    with Precision(name, "cpu").autocast():
        out = linear(torch.ones(2, 8))
    assert out.dtype == dtype
    out.float().sum().backward()
    assert linear.weight.dtype == torch.float32
    assert linear.weight.grad is not None
    assert linear.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_only_fp16_scales_its_loss(name: Name, dtype: torch.dtype) -> None:
    scaler = Precision(name, "cpu").scaler()
    assert scaler.is_enabled() == (name == "fp16")
    assert (float(scaler.scale(torch.ones(()))) > 1) == (name == "fp16")
    other = Precision(name, "cpu").scaler()
    other.load_state_dict(scaler.state_dict())
    assert other.get_scale() == scaler.get_scale()


def test_auto_is_resolved_and_leaves_the_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    found = resolve("auto", "cpu")
    assert found.name in ("fp32", "bf16")
    assert torch.equal(torch.get_rng_state(), before)
    assert resolve("auto", "mps") == Precision("fp32", "mps")
    for name, _ in CASES:
        assert resolve(name, "cpu") == Precision(name, "cpu")


def test_a_gpu_that_only_emulates_bf16_is_not_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The answer of a Turing GPU, which no test machine has.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert resolve("auto", "cuda").name == "fp16"
    with pytest.raises(ConfigError, match="no bf16 arithmetic"):
        resolve("bf16", "cuda")
