import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.engine.lean import Lean, leanest
from textus.decoding.engine.quantize import Int8Linear, is_quantized, quantize
from textus.decoding.processors import Temperature
from textus.decoding.step import Telling
from textus.decoding.strategy import Sample
from textus.decoding.writer import Ending
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

pytestmark = pytest.mark.skipif(
    torch.backends.quantized.engine not in ("x86", "fbgemm", "onednn"), reason="no products of 8 bits here"
)

LEAST_STEP = 6.1e-5
"""Of states: FBGEMM divides into no smaller ones (SMALL_SCALE_THRESHOLD)."""


@given(st.integers(0, 2**31), st.integers(1, 9), st.sampled_from([1, 7, 32]), st.sampled_from([3, 16]))
@settings(max_examples=40)
@example(58486, 1, 1, 16)  # a row whose step would be less than the least
def test_a_product_is_that_of_the_rounded_numbers(seed, rows, inputs, outputs):
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=draw) * torch.rand(outputs, 1, generator=draw) * 10
    x = torch.randn(rows, inputs, generator=draw) * 3 + torch.randn(rows, 1, generator=draw)
    scale = weight.abs().amax(1, keepdim=True) / 127
    rounded = (weight / scale).round() * scale
    # the steps of a row of states include 0, and reach from its least to its greatest number
    step = (x.amax(1, keepdim=True).clamp(min=0) - x.amin(1, keepdim=True).clamp(max=0)) / 127
    step = step.clamp(min=LEAST_STEP)
    near = (x / step).round() * step
    made = Int8Linear(weight)
    off_by_one = float((step * rounded.abs().amax()).max())  # where a number lies between two steps
    torch.testing.assert_close(made(x), near @ rounded.T, rtol=1e-4, atol=1.01 * off_by_one)
    alone = torch.cat([made(row[None]) for row in x])
    torch.testing.assert_close(made(x), alone, rtol=1e-5, atol=1e-5 * float(alone.abs().max()))
    assert made(x[None, None])[0, 0].equal(made(x))


def test_a_bias_is_added_and_rows_of_one_number_are_exact():
    weight, bias = torch.tensor([[1.0, -1.0], [0.0, 0.0]]), torch.tensor([0.5, 2.0])
    made = Int8Linear(weight, bias)
    for rows in ([[3.0, 3.0]], [[3.0, 3.0], [-1.0, -1.0], [0.0, 0.0]]):
        assert made(torch.tensor(rows)).tolist() == [[0.5, 2.0]] * len(rows)


def test_a_quantized_model_says_nearly_the_same_and_shares_the_rest(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    small = quantize(model)
    assert is_quantized(small) and not is_quantized(model)
    assert small.embedding.weight is model.embedding.weight
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    tokens = torch.arange(12)[None]
    with torch.no_grad():
        wanted, found = model(tokens).logits, small(tokens).logits
    assert (found - wanted).norm() < 0.1 * wanted.norm()


@pytest.mark.parametrize("kind", ["float32", "int8", "shared heads"])
def test_fewer_steps_give_the_same(model, kind):
    network = model if kind != "shared heads" else Transformer(replace(model.config, {"num_kv_heads": 4})).eval()
    network = quantize(network) if kind == "int8" else network
    lean = leanest(network)
    assert isinstance(lean, Lean)


def test_a_network_with_other_parts_is_read_as_it_is(model):
    class Louder(Transformer):
        def _embed(self, tokens):
            x, added = super()._embed(tokens)
            return 2 * x, added

    louder = Louder(model.config).eval()
    assert leanest(louder) is louder
    encoder = {"attention": "bidirectional", "prediction_offset": 0, "family": "modernbert"}
    both = Transformer(ModelConfig(**{**vars(model.config), "num_kv_heads": 4, **encoder})).eval()
    assert leanest(both) is both


def test_in_8_bits_a_text_is_the_same_alone_and_in_company(model, tokenizer):
    small = quantize(model)
    prompts = [[tokenizer.end, *tokenizer.encode(text)] for text in ("the", "the quick", "")]
    strategy, telling = Sample(Temperature(0.8)), Telling("raw")

    def written(chosen):
        engine = Engine(small, tokenizer, EngineConfig(block_size=4))
        handles = [engine.submit(prompt, strategy, Ending(12), seed=3, telling=telling) for prompt in chosen]
        return [[piece.token for piece in handle] for handle in handles]

    assert written(prompts) == [written([prompt])[0] for prompt in prompts]


def test_a_model_on_another_device_is_refused(model):
    with torch.device("meta"):
        elsewhere = Transformer(model.config)
    with pytest.raises(ConfigError, match="x86"):
        quantize(elsewhere)
