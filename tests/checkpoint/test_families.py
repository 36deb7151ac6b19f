from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.checkpoint.families import from_qwen3, from_qwen3_weights, to_qwen3, to_qwen3_weights
from textus.errors import CheckpointError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

PATH = Path("config.json")
CONFIG = ModelConfig(
    vocab_size=30,
    context_length=16,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=1,
    head_size=8,
    intermediate_size=24,
)


@given(
    st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from(["causal", "bidirectional"]), st.floats(1, 1e6)
)
def test_config_there_and_back(layers, width, tied, attention, theta):
    config = ModelConfig(
        vocab_size=30,
        context_length=16,
        num_layers=layers,
        hidden_size=width,
        num_heads=4,
        num_kv_heads=2,
        head_size=8,
        intermediate_size=width,
        rope_theta=theta,
        tied_embeddings=tied,
        attention=attention,
        dropout=0.1,
    )
    assert from_qwen3(to_qwen3(config, 0, "float32"), PATH) == config


@pytest.mark.parametrize("tied", [True, False])
def test_weights_there_and_back(tied):
    config = ModelConfig(**(vars(CONFIG) | {"tied_embeddings": tied}))
    state = Transformer(config).state_dict()
    theirs = to_qwen3_weights(state, config)
    assert ("lm_head.weight" in theirs) is not tied
    back = from_qwen3_weights(theirs, config, PATH)
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)


def test_older_configs_name_theta_elsewhere():
    values = to_qwen3(CONFIG, 0, "float32")
    del values["rope_parameters"], values["textus"]
    assert from_qwen3(values | {"rope_theta": 5e5}, PATH).rope_theta == 5e5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "holds .'LlamaForCausalLM'., not Qwen3ForCausalLM"),
        ({"architectures": None, "model_type": "gpt2"}, "holds gpt2"),
        ({"hidden_act": "gelu"}, "asks for hidden_act"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1.0}}, "rope_type=longrope"),
        ({"quantization_config": {}}, "quantization_config"),
        ({"num_hidden_layers": "two"}, "num_layers"),
        ({"num_key_value_heads": 7}, "cannot share"),
    ],
)
def test_what_we_do_not_read_is_refused(changes, words):
    with pytest.raises(CheckpointError, match=words):
        from_qwen3(to_qwen3(CONFIG, 0, "float32") | changes, PATH)


def test_a_missing_key_is_named():
    values = to_qwen3(CONFIG, 0, "float32")
    del values["head_dim"]
    with pytest.raises(CheckpointError, match="lacks head_dim"):
        from_qwen3(values, PATH)


def test_missing_and_unknown_weights_are_named():
    theirs = to_qwen3_weights(Transformer(CONFIG).state_dict(), CONFIG)
    with pytest.raises(CheckpointError, match=r"lacks model.norm.weight"):
        from_qwen3_weights({name: value for name, value in theirs.items() if name != "model.norm.weight"}, CONFIG, PATH)
    with pytest.raises(CheckpointError, match="holds unknown extra"):
        from_qwen3_weights(theirs | {"extra": torch.zeros(1)}, CONFIG, PATH)
