import dataclasses

import pytest
import torch

from textus.model.cache import KeyValueCache
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

CONFIG = ModelConfig(
    vocab_size=50,
    context_length=24,
    num_layers=3,
    hidden_size=16,
    num_heads=4,
    num_kv_heads=2,
    head_size=6,
    intermediate_size=24,
)


@pytest.fixture(scope="module")
def model():
    return Transformer(CONFIG, seed=3).eval()


def _tokens(rows=3, time=20):
    return torch.randint(50, (rows, time), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pieces", [[20], [1] * 20, [7, 1, 1, 5, 6], [1, 19]])
@torch.inference_mode()
def test_reading_in_pieces_equals_reading_at_once(model, pieces):
    tokens = _tokens()
    cache = model.new_cache(3)
    parts, start = [], 0
    for size in pieces:
        output = model(tokens[:, start : start + size], cache=cache)
        assert output.cache is cache
        parts.append(output.logits)
        start += size
    assert cache.length == 20
    torch.testing.assert_close(torch.cat(parts, 1), model(tokens).logits, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_cropped_cache_reads_on_from_there(model):
    tokens, cache = _tokens(), model.new_cache(3)
    model(torch.cat((tokens[:, :8], _tokens().flip(1)), 1)[:, :18], cache=cache)
    cache.crop(8)
    got = model(tokens[:, 8:], cache=cache).logits
    torch.testing.assert_close(got, model(tokens).logits[:, 8:], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_rows_can_be_chosen_and_repeated(model):
    tokens, cache = _tokens(), model.new_cache(3)
    rows = torch.tensor([2, 0, 2, 2])
    model(tokens[:, :10], cache=cache)
    cache.select(rows)
    assert cache.batch == 4
    got = model(tokens[rows, 10:], cache=cache).logits
    torch.testing.assert_close(got, model(tokens[rows]).logits[:, 10:], rtol=1e-4, atol=1e-5)


def test_too_much_is_our_mistake(model):
    cache = KeyValueCache(CONFIG, 1, 4)
    with pytest.raises(AssertionError, match="5 positions do not fit a cache of 4"):
        model(_tokens(1, 5), cache=cache)
    with pytest.raises(AssertionError, match="25 positions in a context of 24"):
        model(_tokens(1, 25))
    both = Transformer(dataclasses.replace(CONFIG, attention="bidirectional"))
    with pytest.raises(AssertionError, match="left to right"):
        both(_tokens(1, 4), cache=both.new_cache(1))
