import math

import pytest
import torch
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from textus.decoding.config import SamplingConfig
from textus.decoding.history import History
from textus.decoding.order import ORDERS, steps_of
from textus.decoding.strategy import Greedy, Sample, strategy_of

EVERYTHING = SamplingConfig(
    logit_bias=("5:1.5",),
    repetition_penalty=1.2,
    frequency_penalty=0.5,
    presence_penalty=0.25,
    dry_multiplier=0.8,
    no_repeat_ngram=2,
    bad_words=("fox",),
    min_tokens=3,
    temperature=1.3,
    top_n_sigma=2.0,
    top_k=30,
    top_p=0.9,
    min_p=0.05,
    typical_p=0.95,
    epsilon=1e-3,
    eta=1e-3,
)


def names(order, tokenizer):
    config = SamplingConfig(**{**vars(EVERYTHING), "order": order})
    return [type(step).__name__ for step in steps_of(config, tokenizer)]


def test_each_order_is_the_one_that_it_is_named_for(tokenizer):
    behind = ["Typical", "Epsilon", "Eta"]
    penalties = ["RepetitionPenalty", "FrequencyPenalty", "PresencePenalty", "Dry", "NoRepeatNgram"]
    assert names("hf", tokenizer) == [
        *("LogitBias", *penalties, "BadWords", "MinLength"),
        *("Temperature", "TopNSigma", "TopK", "TopP", "MinP", *behind),
    ]
    assert names("vllm", tokenizer) == [
        *("BadWords", "MinLength", "LogitBias", *penalties),
        *("Temperature", "TopNSigma", "MinP", "TopK", "TopP", *behind),
    ]
    assert names("llamacpp", tokenizer) == [
        *("LogitBias", *penalties, "BadWords", "MinLength"),
        *("TopNSigma", "TopK", "Typical", "TopP", "MinP", "Epsilon", "Eta", "Temperature"),
    ]


def test_every_order_has_every_step():
    assert len({frozenset(order) for order in ORDERS.values()}) == 1
    assert all(len(set(order)) == len(order) for order in ORDERS.values())


def test_the_usual_order_is_that_of_transformers(tokenizer):
    config = SamplingConfig(
        repetition_penalty=1.2,
        no_repeat_ngram=2,
        min_tokens=3,
        temperature=1.3,
        top_k=30,
        top_p=0.9,
        min_p=0.05,
        typical_p=0.95,
        epsilon=1e-3,
        eta=1e-3,
    )
    theirs = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.2),
            NoRepeatNGramLogitsProcessor(2),
            MinNewTokensLengthLogitsProcessor(1, 3, tokenizer.end),
            TemperatureLogitsWarper(1.3),
            TopKLogitsWarper(30),
            TopPLogitsWarper(0.9),
            MinPLogitsWarper(0.05),
            TypicalLogitsWarper(0.95),
            EpsilonLogitsWarper(1e-3),
            EtaLogitsWarper(1e-3),
        ]
    )
    logits = 3 * torch.randn(2, tokenizer.vocab_size, generator=torch.Generator().manual_seed(0))
    tokens = [[7, 8, 7], [9, 9, 9]]
    ours = strategy_of(config, tokenizer).process(logits, History.of(tokens, written=[2, 2]))
    assert torch.equal(ours, theirs(torch.tensor(tokens), logits))


def test_the_orders_give_other_distributions(tokenizer):
    logits = 2 * torch.randn(1, tokenizer.vocab_size, generator=torch.Generator().manual_seed(0))
    kept = {}
    for order in ORDERS:
        config = SamplingConfig(order=order, temperature=1.5, top_k=50, top_p=0.9, min_p=0.05)
        kept[order] = strategy_of(config, tokenizer).process(logits, History.of([[]])).isfinite().sum().item()
    assert kept["vllm"] < kept["hf"]
    assert kept["llamacpp"] < kept["hf"]


@pytest.mark.parametrize("temperature", [0.0, 1e-38])
def test_no_temperature_is_greedy_and_keeps_what_looks_back(temperature, tokenizer):
    strategy = strategy_of(SamplingConfig(temperature=temperature, min_tokens=2, min_p=0.5), tokenizer)
    assert strategy.describe() == [f"MinLength(tokens=2, ends=({tokenizer.end},))", "Greedy"]


def test_beams_never_draw(tokenizer):
    assert strategy_of(SamplingConfig(beams=4), tokenizer) == Greedy()


def test_settings_that_change_nothing_leave_no_step(tokenizer):
    assert strategy_of(SamplingConfig(temperature=1.0, top_k="off", top_p=1.0), tokenizer) == Sample()


def test_tokens_that_end_a_text_are_spared_by_every_penalty(tokenizer):
    config = SamplingConfig(
        temperature=0.0, repetition_penalty=2.0, frequency_penalty=2.0, no_repeat_ngram=1, stop=("\n",)
    )
    newline = tokenizer.encode("\n")
    history = History.of([[*newline, 40, tokenizer.end]], written=[2])
    logits = torch.ones(1, tokenizer.vocab_size)
    after = Greedy(*steps_of(config, tokenizer)).process(logits, history)
    assert after[0, newline].tolist() == [1.0]
    assert after[0, tokenizer.end] == 1
    assert after[0, 40] == -math.inf
