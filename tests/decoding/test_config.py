import json
import math

import pytest
from transformers import GenerationConfig

from textus import config as settings
from textus.decoding.config import SamplingConfig, from_generation_config
from textus.errors import ConfigError


@pytest.mark.parametrize(
    "item",
    [
        "top_p=0",
        "top_p=1.01",
        "top_p=nan",
        "temperature=nan",
        "temperature=inf",
        "temperature=-1",
        "top_k=0",
        "top_k=-1",
        "top_k=of",
        "min_p=2",
        "repetition_penalty=0",
        "max_tokens=0",
        "frequency_penalty=3",
        "presence_penalty=nan",
        "dry_base=0.5",
        "no_repeat_ngram=0",
        "top_n_sigma=0",
        "typical_p=0",
        "epsilon=1",
        "eta=-1",
        "order=mlx",
        "beams=0",
        "length_penalty=inf",
        "stop_loops=1",
        "logprobs=both",
        "seed=-1",
        'stop=[""]',
        "tempperature=1",
    ],
)
def test_mistakes_are_named(item):
    with pytest.raises(ConfigError, match=item.partition("=")[0]) as caught:
        settings.load(SamplingConfig, overrides=[item])
    assert caught.value.hint


def test_settings_survive_toml():
    config = SamplingConfig(top_k="off", stop=("\n\n", 'end"'), seed=2**63 - 1)
    values = __import__("tomllib").loads(settings.to_toml(config))
    assert settings.build(SamplingConfig, values, "here") == config


CONFIGS = [
    SamplingConfig(),
    SamplingConfig(temperature=0.0, repetition_penalty=1.3),
    SamplingConfig(top_k="off", order="llamacpp", min_p=0.1, typical_p=0.9, epsilon=1e-3, eta=1e-3),
    SamplingConfig(beams=4, length_penalty=0.5, no_repeat_ngram=3, min_tokens=2),
    SamplingConfig(stop=("\n",), stop_tokens=("0",), logit_bias=("7:-5",), stop_loops=3, dry_multiplier=0.8),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_transformers_understands_the_generation_config(config, tmp_path):
    (tmp_path / "generation_config.json").write_text(json.dumps(config.generation_config()))
    theirs = GenerationConfig.from_pretrained(tmp_path)
    assert theirs.do_sample is (config.temperature > 0 and config.beams == 1)
    assert theirs.max_new_tokens == config.max_tokens
    if config.beams > 1:
        assert (theirs.num_beams, theirs.length_penalty) == (config.beams, config.length_penalty)
    if theirs.do_sample:
        assert theirs.top_k == (0 if config.top_k == "off" else config.top_k)
        assert math.isclose(theirs.temperature, config.temperature)


@pytest.mark.parametrize("config", CONFIGS)
def test_order_and_values_are_kept_in_the_generation_config(config):
    values = json.loads(json.dumps(config.generation_config()))
    assert values["textus"]["order"] == config.order
    assert from_generation_config(values, "here") == config


def test_a_generation_config_of_others_is_read():
    values = {"do_sample": True, "temperature": 0.6, "top_k": 0, "top_p": 0.9, "eos_token_id": 2, "min_p": None}
    assert from_generation_config(values, "here") == SamplingConfig(temperature=0.6, top_k="off", top_p=0.9)
    assert from_generation_config({"eos_token_id": 2}, "here").is_greedy
    with pytest.raises(ConfigError, match="here: `temperature`"):
        from_generation_config({"do_sample": True, "temperature": "warm"}, "here")
