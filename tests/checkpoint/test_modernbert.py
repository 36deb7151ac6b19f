import json
from pathlib import Path

import pytest
import torch

from textus.checkpoint.checkpoint import load, write_model
from textus.checkpoint.families import from_config, from_weights, to_config, to_weights
from textus.errors import CheckpointError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.tokenizer import Tokenizer

PATH = Path("config.json")
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
CONFIG = ModelConfig(
    vocab_size=260,
    context_length=16,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=24,
    rope_theta=20_000.0,
    dropout=0.1,
    attention="bidirectional",
    prediction_offset=0,
    family="modernbert",
)


STRETCHED = {
    "none": {},
    "linear": {"rope_scaling": "linear", "rope_factor": 2.0},
    "yarn": {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original_context": 4},
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("scaling", STRETCHED)
def test_there_and_back(tied, scaling):
    config = ModelConfig(**(vars(CONFIG) | {"tied_embeddings": tied} | STRETCHED[scaling]))
    assert from_config(to_config(config, ENDS, "float32"), PATH) == config
    state = Transformer(config).state_dict()
    theirs = to_weights(state, config)
    assert ("decoder.weight" in theirs) is not tied
    back = from_weights(theirs, config, PATH)[0]
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)


def test_a_config_that_says_little_means_what_transformers_means():
    values = to_config(CONFIG, ENDS, "float32")
    for key in ("layer_types", "global_attn_every_n_layers", "rope_parameters", "decoder_bias", "textus", "norm_eps"):
        del values[key]
    found = from_config(values, PATH)
    assert (found.window, found.global_every, found.local_rope_theta, found.head_bias) == (128, 2, 20_000.0, True)
    assert (found.norm_epsilon, [found.is_local(layer) for layer in range(2)]) == (1e-5, [False, True])
    with pytest.raises(CheckpointError, match="lacks hidden_size"):
        from_config({key: value for key, value in values.items() if key != "hidden_size"}, PATH)


def test_missing_and_unknown_weights_are_named():
    theirs = to_weights(Transformer(CONFIG).state_dict(), CONFIG)
    with pytest.raises(CheckpointError, match=r"lacks head.norm.weight"):
        from_weights({name: value for name, value in theirs.items() if name != "head.norm.weight"}, CONFIG, PATH)
    with pytest.raises(CheckpointError, match=r"holds unknown model.layers.0.attn_norm.weight"):
        from_weights(theirs | {"model.layers.0.attn_norm.weight": torch.ones(16)}, CONFIG, PATH)


@pytest.mark.parametrize("scaling", STRETCHED)
def test_a_directory_opens_in_transformers_and_here_again(tmp_path, scaling):
    transformers = pytest.importorskip("transformers")
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    tokenizer = Tokenizer(trained({name: token for token, name in enumerate(names)}, []))
    model = Transformer(ModelConfig(**(vars(CONFIG) | STRETCHED[scaling])), seed=3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    write_model(tmp_path, model, tokenizer, {})
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["ModernBertForMaskedLM"]
    other = transformers.ModernBertForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    again = load(tmp_path).model
    tokens = torch.randint(260, (2, 16), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        mine = model(tokens).logits
        assert torch.equal(again(tokens).logits, mine)
        assert torch.allclose(other(tokens).logits, mine, atol=1e-4)
