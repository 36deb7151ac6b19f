import torch

from textus.decoding.history import History
from textus.decoding.penalties import RepetitionPenalty
from textus.decoding.processors import Temperature, TopK, TopP
from textus.decoding.sampler import Places
from textus.decoding.strategy import Greedy, Sample

HISTORY = History.of([[1, 2], [3, 3]])
PLACES = Places.of(1, [0, 1], position=2)


def some_logits(vocab: int = 200) -> torch.Tensor:
    return 3 * torch.randn(2, vocab, generator=torch.Generator().manual_seed(0))


def test_processors_apply_from_left_to_right():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    narrow, wide = Temperature(0.5), TopP(0.8)
    assert Sample(narrow, wide).process(logits, History.of([[1, 2]])).isfinite().sum() == 1
    assert Sample(wide, narrow).process(logits, History.of([[1, 2]])).isfinite().sum() == 2


def test_greedy_takes_the_first_of_the_best():
    logits = torch.tensor([[0.0, 5.0, 5.0], [7.0, 7.0, 1.0]])
    assert Greedy().choose(logits, HISTORY, PLACES).tolist() == [1, 0]


def test_greedy_heeds_its_processors():
    logits = torch.tensor([[0.0, 5.0, 4.0]])
    strategy = Greedy(RepetitionPenalty(2.0))
    assert strategy.choose(logits, History.of([[1]]), Places.of(0, [0], 0)).tolist() == [2]


def test_sampling_from_one_token_is_greedy():
    logits = some_logits()
    assert torch.equal(Sample(TopK(1)).choose(logits, HISTORY, PLACES), Greedy().choose(logits, HISTORY, PLACES))


def test_half_precision_logits_are_processed_in_float32():
    assert Sample().process(some_logits().bfloat16(), HISTORY).dtype == torch.float32


def test_strategies_are_values():
    assert Sample(TopK(3)) == Sample(TopK(3)) != Greedy(TopK(3))
    assert hash(Sample(TopK(3))) == hash(Sample(TopK(3)))


def test_long_lists_of_tokens_are_counted_when_a_strategy_is_described():
    long = Greedy(RepetitionPenalty(1.1, spare=tuple(range(20)))).describe()
    assert long == ["RepetitionPenalty(penalty=1.1, spare=<20>)", "Greedy"]
    assert Greedy(RepetitionPenalty(1.1, window=64, spare=(0,))).describe()[0] == (
        "RepetitionPenalty(penalty=1.1, window=64, spare=(0,))"
    )
