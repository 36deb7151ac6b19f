import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from textus.decoding.config import SamplingConfig
from textus.decoding.processors import RepetitionPenalty, Temperature, TopK, TopP
from textus.decoding.strategy import Greedy, Sample, strategy_of

HISTORY = torch.tensor([[1, 2], [3, 3]])


def some_logits(vocab: int = 200) -> torch.Tensor:
    return 3 * torch.randn(2, vocab, generator=torch.Generator().manual_seed(0))


def test_processors_apply_from_left_to_right():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    narrow, wide = Temperature(0.5), TopP(0.8)
    assert Sample(narrow, wide).process(logits, HISTORY[:1]).isfinite().sum() == 1
    assert Sample(wide, narrow).process(logits, HISTORY[:1]).isfinite().sum() == 2


def test_the_usual_order_is_that_of_transformers():
    config = SamplingConfig(temperature=1.3, top_k=30, top_p=0.9, min_p=0.05, repetition_penalty=1.2)
    theirs = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.2),
            TemperatureLogitsWarper(1.3),
            TopKLogitsWarper(30),
            TopPLogitsWarper(0.9),
            MinPLogitsWarper(0.05),
        ]
    )
    logits = some_logits()
    assert torch.equal(strategy_of(config).process(logits, HISTORY), theirs(HISTORY, logits))


def test_greedy_takes_the_first_of_the_best():
    logits = torch.tensor([[0.0, 5.0, 5.0], [7.0, 7.0, 1.0]])
    assert Greedy().choose(logits, HISTORY, seed=0, position=0, rows=[0, 1]).tolist() == [1, 0]


def test_greedy_heeds_its_processors():
    logits = torch.tensor([[0.0, 5.0, 4.0]])
    strategy = Greedy(RepetitionPenalty(2.0))
    assert strategy.choose(logits, HISTORY[:1, :1], seed=0, position=0, rows=[0]).tolist() == [2]


def test_sampling_from_one_token_is_greedy():
    logits = some_logits()
    place = {"seed": 1, "position": 2, "rows": [0, 1]}
    assert torch.equal(Sample(TopK(1)).choose(logits, HISTORY, **place), Greedy().choose(logits, HISTORY, **place))


def test_half_precision_logits_are_processed_in_float32():
    assert Sample().process(some_logits().bfloat16(), HISTORY).dtype == torch.float32


def test_strategies_are_values():
    assert Sample(TopK(3)) == Sample(TopK(3)) != Greedy(TopK(3))
    assert hash(Sample(TopK(3))) == hash(Sample(TopK(3)))
