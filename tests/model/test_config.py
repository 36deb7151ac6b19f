import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

BASE = ModelConfig(
    vocab_size=30,
    context_length=16,
    num_layers=2,
    hidden_size=16,
    num_heads=4,
    num_kv_heads=2,
    head_size=6,
    intermediate_size=24,
)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3), st.sampled_from([(4, 1), (4, 2), (4, 4), (3, 3)]), st.booleans(), st.integers(1, 5), st.data()
)
def test_counts_equal_the_module(layers, heads, tied, half, data):
    config = dataclasses.replace(
        BASE,
        num_layers=layers,
        num_heads=heads[0],
        num_kv_heads=heads[1],
        tied_embeddings=tied,
        head_size=2 * half,
        intermediate_size=data.draw(st.integers(1, 40)),
    )
    model = Transformer(config)
    roles = model.parameter_roles()
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert config.num_parameters() == sum(sizes.values())
    matrices = sum(size for name, size in sizes.items() if roles[name] in ("matrix", "head"))
    embedding = sizes["embedding.weight"] if tied else 0
    assert config.num_matmul_parameters() == matrices + embedding


def test_flops_of_a_known_shape():
    # layer: 16*24 + 2*16*12 + 24*16 + 3*16*24 = 2304; head: 480; attention, full: 12*2*16*24 = 9216
    assert BASE.num_matmul_parameters() == 2 * 2304 + 480
    assert BASE.flops_per_token() == 6 * (2 * 2304 + 480) + 9216 // 2
    both = dataclasses.replace(BASE, attention="bidirectional", prediction_offset=0)
    assert both.flops_per_token() == 6 * (2 * 2304 + 480) + 9216


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_kv_heads": 3}, r"4 heads cannot share 3.*\[1, 2, 4\]"),
        ({"head_size": 7}, "even.*got 7"),
        ({"dropout": 1.0}, "dropout"),
        ({"num_layers": 0}, "num_layers"),
        ({"rope_theta": float("nan")}, "rope_theta"),
        ({"attention": "sideways"}, "causal"),
        ({"prediction_offset": 2}, "prediction_offset"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        dataclasses.replace(BASE, **changes)
