import pytest
import torch
from torch.nn import functional

from textus.model import kernels


def _gradients(function, *inputs):
    inputs = [value.clone().requires_grad_() for value in inputs]
    result = function(*inputs)
    result.backward(torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view_as(result))
    return [result.detach(), *(value.grad for value in inputs)]


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 4, 6), (1, 1)])
def test_rms_norm_equals_torch_in_float64(shape):
    generator = torch.Generator().manual_seed(1)
    x, weight = torch.randn(shape, generator=generator), torch.randn(shape[-1:], generator=generator)
    ours = _gradients(lambda a, b: kernels.rms_norm(a, b, 1e-6, torch.float32), x, weight)
    oracle = _gradients(lambda a, b: functional.rms_norm(a, shape[-1:], b, 1e-6), x.double(), weight.double())
    for got, wanted in zip(ours, oracle, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-5)


def test_rms_norm_takes_a_transposed_gradient():
    x = torch.randn(2, 3, 4, 6, requires_grad=True)
    y = kernels.rms_norm(x, torch.ones(6), 1e-6, torch.float32)
    y.transpose(1, 2).contiguous().square().sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape


def test_rms_norm_of_zeros_is_zero():
    x = torch.zeros(2, 4, requires_grad=True)
    y = kernels.rms_norm(x, torch.ones(4), 1e-6, torch.float32)
    y.sum().backward()
    assert not y.any() and x.grad is not None and x.grad.isfinite().all()


def test_formats_in_and_out():
    x = torch.randn(3, 8).bfloat16()
    assert kernels.rms_norm(x, torch.ones(8), 1e-6, torch.float32).dtype is torch.float32
    x = torch.randn(3, 8, requires_grad=True)
    y = kernels.rms_norm(x, torch.ones(8).bfloat16(), 1e-6, torch.bfloat16)
    assert y.dtype is torch.bfloat16
    y.float().sum().backward()
    assert x.grad is not None and x.grad.dtype is torch.float32


@pytest.mark.parametrize("rows", [1, 3])
def test_spans_are_where_a_loop_finds_them(rows):
    generator = torch.Generator().manual_seed(rows)
    for time in (1, 2, 40, 300):
        documents = torch.randint(2, (rows, time), generator=generator).cumsum(1) - 1
        spans = kernels.document_spans(documents)
        flat = [(row, number) for row, numbers in enumerate(documents.tolist()) for number in numbers]
        wanted = [(flat.index(one), len(flat) - flat[::-1].index(one)) for one in flat]
        assert spans.dtype is torch.int32
        assert list(zip(*spans.tolist(), strict=True)) == wanted
