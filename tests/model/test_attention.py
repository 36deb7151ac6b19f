import math

import pytest
import torch

from textus.model.attention import attend, causal_bias, document_bias


def _by_loops(query, key, value, visible):
    groups = query.shape[1] // key.shape[1]
    out = torch.zeros_like(query)
    for row in range(query.shape[0]):
        for head in range(query.shape[1]):
            for at in range(query.shape[2]):
                seen = visible[row, at].nonzero().squeeze(1)
                scores = key[row, head // groups, seen] @ query[row, head, at] / math.sqrt(query.shape[3])
                out[row, head, at] = scores.softmax(0) @ value[row, head // groups, seen]
    return out


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_attention_equals_loops(causal, packed, training):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, 7, 6, generator=generator)
    key, value = (torch.randn(2, 2, 7, 6, generator=generator) for _ in range(2))
    documents = torch.tensor([[0, 0, 0, 1, 1, 2, -1], [0, 1, 1, 1, 1, 1, 1]])
    visible = documents[:, :, None] == documents[:, None] if packed else torch.ones(2, 7, 7, dtype=torch.bool)
    bias = document_bias(documents, causal, torch.float32) if packed else None
    got = attend(query.requires_grad_(training), key, value, bias, causal)
    wanted = _by_loops(query.detach(), key, value, visible.tril() if causal else visible)
    torch.testing.assert_close(got.detach(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("time", [128, 129, 300, 1100])
def test_blocks_and_fused_kernel_agree_with_gradients(causal, time):
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(1, heads, time, 4, generator=generator) for heads in (2, 1, 1)]
    wide = [value.double().requires_grad_() for value in inputs]
    narrow = [value.requires_grad_() for value in inputs]
    grouped = [wide[0], *(value.repeat_interleave(2, 1) for value in wide[1:])]
    oracle = torch.nn.functional.scaled_dot_product_attention(*grouped, is_causal=causal)
    got = attend(*narrow, bias=None, causal=causal)
    torch.testing.assert_close(got.double(), oracle, rtol=1e-4, atol=1e-5)
    oracle.square().sum().backward()
    got.square().sum().backward()
    for ours, theirs in zip(narrow, wide, strict=True):
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-3, atol=1e-4)


def test_the_last_positions_see_what_stands_before_them():
    bias = causal_bias(2, 5, torch.device("cpu"), torch.float32)[0, 0]
    assert torch.equal(bias == 0, torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=torch.bool))
