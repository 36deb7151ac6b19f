import math

import pytest
from transformers import GenerationConfig

from textus import config as settings
from textus.decoding.config import SamplingConfig
from textus.decoding.processors import MinP, RepetitionPenalty, Temperature, TopK, TopP
from textus.decoding.strategy import Greedy, Sample, strategy_of
from textus.errors import ConfigError


def test_every_setting_becomes_a_step():
    config = SamplingConfig(temperature=0.7, top_k=40, top_p=0.9, min_p=0.1, repetition_penalty=1.1)
    assert strategy_of(config) == Sample(RepetitionPenalty(1.1), Temperature(0.7), TopK(40), TopP(0.9), MinP(0.1))


def test_settings_that_change_nothing_leave_no_step():
    assert strategy_of(SamplingConfig(temperature=1.0, top_k="off", top_p=1.0)) == Sample()


@pytest.mark.parametrize("temperature", [0.0, 1e-38])
def test_no_temperature_is_greedy_and_keeps_the_penalty(temperature):
    config = SamplingConfig(temperature=temperature, repetition_penalty=1.2)
    assert strategy_of(config) == Greedy(RepetitionPenalty(1.2))


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


@pytest.mark.parametrize(
    "config", [SamplingConfig(), SamplingConfig(temperature=0.0, repetition_penalty=1.3), SamplingConfig(top_k="off")]
)
def test_transformers_understands_the_generation_config(config):
    theirs = GenerationConfig(**config.generation_config())
    assert theirs.do_sample is (config.temperature > 0)
    assert theirs.max_new_tokens == config.max_tokens
    if theirs.do_sample:
        assert theirs.top_k == (0 if config.top_k == "off" else config.top_k)
        assert math.isclose(theirs.temperature, config.temperature)
