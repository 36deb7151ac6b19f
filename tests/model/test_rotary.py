import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.model.config import ModelConfig
from textus.model.rotary import Rotary, angles, frequencies, rotate, sharpening, yarn
from textus.model.transformer import Transformer

CPU = torch.device("cpu")
SHAPE = ModelConfig(
    vocab_size=30,
    context_length=32,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=1,
    head_size=8,
    intermediate_size=24,
)
LONG = dataclasses.replace(
    SHAPE, context_length=64, rope_scaling="yarn", rope_factor=4.0, rope_original_context=16, rope_theta=100.0
)


def _by_complex_numbers(x, theta):
    # an independent form: each pair is a complex number, turned by multiplication
    half = x.shape[-1] // 2
    pair = torch.complex(x[..., :half].double(), x[..., half:].double())
    frequency = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
    turned = pair * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat((turned.real, turned.imag), -1)


def test_rotation_is_multiplication_by_a_complex_number():
    x = torch.randn(2, 50, 3, 8, generator=torch.Generator().manual_seed(0))
    got = rotate(x, angles(frequencies(8, 1000.0), 50), torch.float32)
    torch.testing.assert_close(got.double(), _by_complex_numbers(x, 1000.0), rtol=1e-4, atol=1e-5)


def test_products_depend_on_distance_only():
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 16, generator=generator).expand(1, 64, 1, 16) for _ in range(2))
    rotation = angles(frequencies(16, 10000.0), 64)
    products = torch.einsum(
        "bqhd,bkhd->qk", rotate(query, rotation, torch.float32), rotate(key, rotation, torch.float32)
    )
    for distance in (0, 1, 17):
        line = products.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), rtol=1e-4, atol=1e-4)


def test_a_piece_of_the_table_is_the_table():
    table = Rotary(SHAPE)
    for whole, piece in zip(table.at(0, 32, CPU), table.at(5, 9, CPU), strict=True):
        assert torch.equal(whole[5:9], piece)


def test_linear_scaling_puts_positions_between_those_that_were_learnt():
    longer = dataclasses.replace(SHAPE, context_length=128, rope_scaling="linear", rope_factor=4.0)
    for short, long in zip(Rotary(SHAPE).at(0, 32, CPU), Rotary(longer).at(0, 128, CPU), strict=True):
        torch.testing.assert_close(long[::4], short, rtol=1e-5, atol=1e-5)


@given(st.integers(2, 32), st.floats(50, 1e6), st.floats(1, 64), st.integers(8, 4096))
def test_yarn_leaves_fast_pairs_and_slows_down_slow_ones(half, theta, factor, original):
    plain = frequencies(2 * half, theta)
    slowed = yarn(plain, theta, factor, original)
    share = slowed / plain
    assert (share >= 1 / factor - 1e-5).all() and (share <= 1 + 1e-5).all()
    assert (share.diff() <= 1e-5).all(), "the slower a pair, the more it is slowed"
    turns = original * plain / (2 * math.pi)
    torch.testing.assert_close(share[turns > 32 * theta ** (1 / half)], torch.ones(1).expand(
        int((turns > 32 * theta ** (1 / half)).sum())
    ), rtol=1e-4, atol=1e-4)  # fmt: skip
    slow = turns < theta ** (-1 / half)
    torch.testing.assert_close(share[slow], torch.full((int(slow.sum()),), 1 / factor), rtol=1e-4, atol=1e-4)


def test_no_stretching_is_no_change():
    plain = frequencies(64, 10000.0)
    torch.testing.assert_close(yarn(plain, 10000.0, 1.0, 512), plain)
    assert sharpening(1.0) == 1.0


def test_a_cache_reads_stretched_positions_as_a_whole_pass_does():
    model = Transformer(LONG, seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    tokens = torch.randint(30, (2, 64), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole, cache = model(tokens).logits, model.new_cache(2)
        pieces = [model(tokens[:, start:stop], cache=cache).logits for start, stop in ((0, 10), (10, 40), (40, 41))]
        pieces += [model(tokens[:, at : at + 1], cache=cache).logits for at in range(41, 64)]
    assert cache.length == 64 == cache.capacity
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-4, atol=1e-4)
    plain = Transformer(dataclasses.replace(LONG, rope_scaling="none", rope_factor=1.0), seed=3).eval()
    plain.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert (plain(tokens).logits - whole).abs().max() > 0.01, "the stretching must make a difference"


@pytest.mark.parametrize("changes", [{"rope_original_context": 0}, {"rope_theta": 1.0}, {"rope_factor": 0.5}])
def test_what_yarn_cannot_do_without_is_asked_for(changes):
    from textus.errors import ConfigError

    with pytest.raises(ConfigError, match="rope_"):
        dataclasses.replace(LONG, **changes)
