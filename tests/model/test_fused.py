"""The kernels of a GPU against plain formulas in float64; where there is no GPU, nothing here can run."""

import pytest
import torch

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from textus.model import fused
from textus.model.attention import attend, document_bias
from textus.model.kernels import document_spans, swiglu
from textus.model.rotary import angles, frequencies, rotate


def _documents(rows, time, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(rows, time, generator=generator) < 0.02).cumsum(1)


def _close(got, wanted, share):
    assert ((got.double() - wanted).norm() / wanted.norm()).item() < share


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("heads", "groups", "size"), [(4, 2, 64), (2, 2, 128), (3, 1, 32)])
def test_packed_attention_is_that_with_a_mask(causal, heads, groups, size):
    rows, time = 3, 333
    torch.manual_seed(0)
    joined = torch.randn(rows, time, (heads + 2 * groups) * size, device="cuda", dtype=torch.bfloat16)
    norms = [torch.rand(size, device="cuda") + 0.5 for _ in range(2)]
    documents, slope = _documents(rows, time), torch.randn(rows, time, heads * size, device="cuda")
    inputs = [part.requires_grad_() for part in (joined, *norms)]
    rotation = angles(frequencies(size, 1e4), time, "cuda")
    got = fused.attend(*inputs, *rotation, document_spans(documents).cuda(), heads, causal, 1e-6)[0]
    ours = torch.autograd.grad(got, inputs, slope.bfloat16())
    exact = [part.detach().double().requires_grad_() for part in inputs]
    parts = exact[0].unflatten(-1, (-1, size)).split([heads, groups, groups], 2)
    wide = tuple(part.double() for part in rotation)
    turned = [
        rotate(part * (part.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * norm, wide, torch.float64).transpose(1, 2)
        for part, norm in zip(parts[:2], exact[1:], strict=True)
    ]
    bias = document_bias(documents.cuda(), causal, torch.float64)
    wanted = attend(*turned, parts[2].transpose(1, 2), bias, causal).transpose(1, 2).flatten(2)
    _close(got, wanted, 0.01)
    for mine, its in zip(ours, torch.autograd.grad(wanted, exact, slope.double()), strict=True):
        _close(mine, its, 0.02)


def test_nothing_is_seen_of_other_documents_or_of_later_tokens():
    documents = _documents(2, 256)
    rotation, spans = angles(frequencies(64, 1e4), 256, "cuda"), document_spans(documents).cuda()
    norms = [torch.ones(64, device="cuda")] * 2
    joined = torch.randn(2, 256, 3 * 64, device="cuda", dtype=torch.bfloat16)
    before = fused.attend(joined, *norms, *rotation, spans, 1, True, 1e-6)[0]
    for at in (0, 100, 255):
        other = joined.clone()
        other[0, at] += 1
        after = fused.attend(other, *norms, *rotation, spans, 1, True, 1e-6)[0]
        changed = (after != before).any(-1).cpu()
        may = torch.zeros_like(changed)
        may[0] = (documents[0] == documents[0, at]) & (torch.arange(256) >= at)
        assert changed[0, at]
        assert not (changed & ~may).any()


@pytest.mark.parametrize("size", [8, 1000, 2048])
def test_the_gate_is_swiglu(size):
    joined = torch.randn(5, 7, 2 * size, device="cuda", dtype=torch.bfloat16).requires_grad_()
    slope = torch.randn(5, 7, size, device="cuda")
    got = fused.swiglu(joined)
    exact = joined.detach().double().requires_grad_()
    wanted = swiglu(*exact.chunk(2, -1))
    _close(got, wanted, 0.01)
    (mine,) = torch.autograd.grad(got, joined, slope.bfloat16())
    _close(mine, torch.autograd.grad(wanted, exact, slope.double())[0], 0.01)
