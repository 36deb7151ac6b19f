from typing import get_args, get_type_hints

import pytest

from textus.errors import ConfigError
from textus.objectives.causal import Causal
from textus.objectives.config import ObjectiveConfig
from textus.objectives.diffusion import Diffusion
from textus.objectives.hybrid import Hybrid
from textus.objectives.masked import Masked
from textus.objectives.table import build

READS = {
    "causal": ("causal", 1, Causal),
    "masked": ("bidirectional", 0, Masked),
    "hybrid": ("causal", 1, Hybrid),
    "diffusion": ("bidirectional", 0, Diffusion),
}


def test_every_name_is_known():
    assert set(READS) == set(get_args(get_type_hints(ObjectiveConfig)["name"]))


@pytest.mark.parametrize("name", READS)
def test_settings_and_objectives_agree_on_how_to_read(name, tokenizer):
    attention, offset, kind = READS[name]
    config = ObjectiveConfig(name=name)
    made = build(config, tokenizer, num_windows=100, seed=3)
    assert type(made) is kind
    assert (config.attention, config.offset) == (made.attention, made.prediction_offset) == (attention, offset)
    assert made.validation().attention == attention


def test_settings_reach_the_objective(tokenizer):
    config = ObjectiveConfig(name="masked", prediction_offset=1, mask_rate=0.5, mask_unit="span", longest_span=2)
    masked = build(config, tokenizer, 100, 3)
    assert isinstance(masked, Masked)
    found = (masked.prediction_offset, masked.rate, masked.final_rate, masked.over, masked.unit, masked.longest_span)
    assert found == (1, 0.5, 0.15, 100, "span", 2)
    constant = build(ObjectiveConfig(name="masked", mask_rate=0.15), tokenizer, 100, 3)
    assert isinstance(constant, Masked) and constant.over == 0
    hybrid = build(ObjectiveConfig(name="hybrid", mix="1:15"), tokenizer, 100, 3)
    assert isinstance(hybrid, Hybrid) and hybrid.turns == (1, 15) and not hybrid.switch
    then = build(ObjectiveConfig(name="hybrid", mix="causal-then-masked", switch_at=0.75), tokenizer, 100, 3)
    assert isinstance(then, Hybrid) and then.switch == 75


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mix": "1"}, "two whole numbers"),
        ({"mix": "0:0"}, "two whole numbers"),
        ({"mix": "-1:2"}, "two whole numbers"),
        ({"mix": "many:few"}, "causal-then-masked"),
        ({"masked_share": 0.9, "random_share": 0.2}, "1.1 together"),
        ({"mask_rate": 0.0}, "mask_rate"),
        ({"name": "hybrid", "prediction_offset": 0}, "predicts the next token"),
        ({"longest_span": 0}, "longest_span"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        ObjectiveConfig(**changes)
