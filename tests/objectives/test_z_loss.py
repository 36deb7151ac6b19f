import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.model.precision import autocast
from textus.objectives import cross_entropy
from textus.objectives.cross_entropy import linear_cross_entropy, penalised_cross_entropy


def _case(rows, size, vocab, device="cpu"):
    generator = torch.Generator().manual_seed(rows)
    hidden, weight = torch.randn(rows, size, generator=generator), torch.randn(vocab, size, generator=generator)
    labels = torch.randint(vocab, (rows,), generator=generator)
    labels[1::3] = -100
    return hidden.to(device).requires_grad_(), weight.to(device).requires_grad_(), labels.to(device)


def _oracle(hidden, weight, labels, z_loss):
    hidden, weight = hidden.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    scores = (hidden @ weight.t())[labels >= 0]
    plain = functional.cross_entropy(scores, labels[labels >= 0], reduction="sum")
    total = plain + z_loss * scores.logsumexp(1).square().sum()
    total.backward()
    return total.detach(), plain.detach(), hidden.grad, weight.grad


def _check(hidden, weight, labels, z_loss, share, context):
    with context:
        total, plain = penalised_cross_entropy(hidden, weight, labels, z_loss)
    (3 * total).backward()
    wanted = _oracle(hidden, weight, labels, z_loss)
    assert not plain.requires_grad
    for got, exact in zip((total.detach(), plain, hidden.grad / 3, weight.grad / 3), wanted, strict=True):
        assert ((got.double() - exact).norm() / exact.norm().clamp_min(1e-9)).item() < share


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(1, 9), st.integers(2, 40), st.sampled_from([0.0, 1e-4, 0.05, 2.0]))
def test_sum_and_gradients_are_those_of_the_formula(rows, size, vocab, z_loss):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_entropy, "rows_at_once", lambda device, vocab_size: 128)
        _check(*_case(rows, size, vocab), z_loss, 2e-5, autocast("cpu", "fp32"))


def test_in_bfloat16_it_is_near_them():
    _check(*_case(300, 16, 64), 0.01, 1e-2, autocast("cpu", "bf16"))


def test_without_it_nothing_is_changed():
    hidden, weight, labels = _case(200, 8, 30)
    total, plain = penalised_cross_entropy(hidden, weight, labels, 0.0)
    assert torch.equal(total, plain) and torch.equal(total, linear_cross_entropy(hidden, weight, labels))
    with torch.inference_mode():
        quiet, same = penalised_cross_entropy(hidden, weight, labels, 0.1)
    with_gradients, _ = penalised_cross_entropy(hidden, weight, labels, 0.1)
    assert torch.equal(quiet, with_gradients) and torch.equal(same, plain)


def test_it_pulls_the_denominator_to_one():
    hidden, weight, labels = _case(100, 8, 30)
    before = (hidden @ weight.t()).logsumexp(1).abs().mean()
    optimizer = torch.optim.SGD([hidden], lr=0.05)
    for _ in range(50):
        optimizer.zero_grad()
        penalised_cross_entropy(hidden, weight, labels, 1.0)[0].backward()
        optimizer.step()
    assert (hidden @ weight.t())[labels >= 0].logsumexp(1).abs().mean() < 0.6 * before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("vocab", [64, 5000, 40_000])
@pytest.mark.parametrize("z_loss", [0.0, 1e-3])
def test_the_kernel_of_a_gpu_is_near_them(vocab, z_loss):
    _check(*_case(300, 64, vocab, "cuda"), z_loss, 2e-2, autocast("cuda", "bf16"))
