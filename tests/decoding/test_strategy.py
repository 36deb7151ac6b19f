import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.bans import BadWords, LogitBias, MinLength
from textus.decoding.history import History
from textus.decoding.penalties import Dry, FrequencyPenalty, RepetitionPenalty
from textus.decoding.processors import Epsilon, Eta, MinP, Temperature, TopK, TopNSigma, TopP, Typical
from textus.decoding.sampler import Places
from textus.decoding.step import Telling, choose
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


@given(st.permutations(range(9)), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_steps_together_are_the_steps_one_by_one_and_leave_the_models_logits_alone(order, seed):
    every = [
        *(LogitBias((5, 9), (1.0, -1.0)), RepetitionPenalty(1.3), FrequencyPenalty(0.4), Dry(0.8), BadWords(((3,),))),
        *(MinLength(4, (0,)), Temperature(0.7), TopNSigma(2.0), TopP(1)),
    ]
    steps = [every[place] for place in order]
    logits = 3 * torch.randn(2, 40, generator=torch.Generator().manual_seed(seed))
    before = wanted = logits.clone()
    for step in steps:
        wanted = step(wanted.clone(), HISTORY)
    assert torch.equal(Sample(*steps).process(logits, HISTORY), wanted)
    assert torch.equal(logits, before)


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


@given(st.integers(0, 2**31), st.sampled_from([0.0, 3.0]), st.integers(1, 9), st.data())
@settings(max_examples=80)
def test_tokens_that_are_few_are_drawn_as_among_all(seed, rounded, k, data):
    """The filters behind top-k see its tokens alone; ties and tokens that cannot follow are as they were."""
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(4, 200, generator=draw)
    if rounded:
        logits = logits.round()
    logits[2, 5:] = -torch.inf
    logits[3] = torch.nan
    rest = data.draw(st.permutations([TopP(0.8), MinP(0.1), Typical(0.9), Epsilon(1e-3), Eta(1e-3), Temperature(0.7)]))
    places = Places.of(seed, [0, 1, 2, 3], position=1)
    history = History.of([[1, 2]] * 4)
    for strategy in (Sample(Temperature(0.9), TopK(k), *rest[:3]), Greedy(TopK(k), *rest)):
        kept = strategy.narrow(logits[:3], history)
        assert (kept is None) == bool(strategy.process(logits[:3], history).isfinite().sum(-1).amax() > k) or rounded
        for telling in (Telling("raw", 3), Telling("processed", 3)):
            found = choose(
                strategy, logits[:3], history, Places(*(part[:3] for part in vars(places).values())), telling
            )
            assert found.tokens == strategy.choose(logits, history, places).tolist()[:3]
            told = logits[:3] if telling.logprobs == "raw" else strategy.process(logits[:3], history)
            wanted = told.log_softmax(-1)
            for row, token in enumerate(found.tokens):
                assert found.logprobs[row] == pytest.approx(wanted[row, token].item(), abs=1e-5)
                best = [value for value in wanted[row].topk(3).values.tolist() if value > -torch.inf]
                assert [value for _, value in found.alternatives[row]] == pytest.approx(best, abs=1e-5)
        assert strategy.narrow(logits, history) is None, "what is no number was taken for a tie-free best"


def test_strategies_that_somebody_wrote_are_not_narrowed():
    class Mine(Sample):
        pass

    logits = some_logits()
    assert Mine(TopK(2)).narrow(logits, HISTORY) is None
    assert Sample(TopK(2), RepetitionPenalty(1.1)).narrow(logits, HISTORY) is None
    assert Sample(Temperature(0.5)).narrow(logits, HISTORY) is None
    assert Sample(RepetitionPenalty(1.1), TopK(2)).narrow(logits, HISTORY) is not None
