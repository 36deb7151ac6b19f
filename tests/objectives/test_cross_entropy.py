import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.model.precision import autocast
from textus.objectives import cross_entropy
from textus.objectives.cross_entropy import linear_cross_entropy


def _case(rows, size, vocab, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, size, generator=generator) * scale
    weight = torch.randn(vocab, size, generator=generator)
    return hidden, weight, torch.randint(vocab, (rows,), generator=generator)


def _oracle(hidden, weight, labels):
    hidden, weight = hidden.double().requires_grad_(), weight.double().requires_grad_()
    total = functional.cross_entropy(hidden @ weight.t(), labels, reduction="sum")
    total.backward()
    return total.detach(), hidden.grad, weight.grad


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 600), st.integers(1, 9), st.integers(2, 40), st.sampled_from([0.01, 1.0, 30.0]))
def test_sum_and_gradients_equal_float64(rows, size, vocab, scale):
    hidden, weight, labels = _case(rows, size, vocab, scale=scale)
    total, grad_hidden, grad_weight = _oracle(hidden, weight, labels)
    hidden.requires_grad_(), weight.requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_entropy, "rows_at_once", lambda device, vocab_size: 128)
        got = linear_cross_entropy(hidden, weight, labels)
    (3 * got).backward()
    torch.testing.assert_close(got.detach().double(), total, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(hidden.grad.double(), 3 * grad_hidden, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weight.grad.double(), 3 * grad_weight, rtol=1e-4, atol=3e-3)


def test_without_gradients_it_is_the_same_number():
    hidden, weight, labels = _case(300, 8, 50)
    with torch.inference_mode():
        plain = linear_cross_entropy(hidden, weight, labels)
    assert torch.equal(plain, linear_cross_entropy(hidden, weight.requires_grad_(), labels).detach())


def test_huge_scores_stay_finite():
    hidden, weight, labels = _case(5, 4, 10, scale=1e4)
    total, *_ = _oracle(hidden, weight, labels)
    torch.testing.assert_close(linear_cross_entropy(hidden, weight, labels).double(), total, rtol=1e-5, atol=0.1)


def test_bfloat16_products_are_summed_in_float32():
    hidden, weight, labels = _case(500, 16, 64, scale=0.2)
    total, grad_hidden, grad_weight = _oracle(hidden, weight, labels)
    narrow = hidden.bfloat16().requires_grad_()
    weight.requires_grad_()
    with autocast("cpu", "bf16"):
        got = linear_cross_entropy(narrow, weight, labels)
    got.backward()
    assert got.dtype is torch.float32 and weight.grad.dtype is torch.float32
    assert got.item() == pytest.approx(total.item(), rel=2e-3)
    for ours, exact in ((narrow.grad, grad_hidden), (weight.grad, grad_weight)):
        assert ((ours.double() - exact).norm() / exact.norm()).item() < 1e-2


def test_a_frozen_side_gets_no_gradient():
    hidden, weight, labels = _case(10, 4, 6)
    linear_cross_entropy(hidden.requires_grad_(), weight, labels).backward()
    assert hidden.grad is not None and weight.grad is None


def test_a_negative_label_asks_nothing():
    hidden, weight, labels = _case(40, 4, 9)
    labels[::3] = -100
    total, grad_hidden, grad_weight = _oracle(hidden[labels >= 0], weight, labels[labels >= 0])
    got = linear_cross_entropy(hidden.requires_grad_(), weight.requires_grad_(), labels)
    got.backward()
    torch.testing.assert_close(got.detach().double(), total, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(hidden.grad[labels >= 0].double(), grad_hidden, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weight.grad.double(), grad_weight, rtol=1e-4, atol=1e-4)
    assert not hidden.grad[labels < 0].any()
