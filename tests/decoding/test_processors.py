import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from textus.decoding.history import History
from textus.decoding.penalties import RepetitionPenalty
from textus.decoding.processors import (
    Epsilon,
    Eta,
    MinP,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    Typical,
)
from textus.errors import ConfigError

HALVES = st.integers(-8, 8).map(lambda number: number / 2)


NOTHING = torch.zeros(1, 0, dtype=torch.int64)


def nothing_yet(logits: torch.Tensor) -> History:
    return History.of([[]] * len(logits))


def logits_with_ties(vocab: int = 12) -> st.SearchStrategy[torch.Tensor]:
    row = st.lists(st.one_of(HALVES, st.just(-math.inf)), min_size=vocab, max_size=vocab)
    rows = st.lists(row.filter(lambda values: max(values) > -math.inf), min_size=1, max_size=3)
    return rows.map(torch.tensor)


def distinct_logits(seed: int) -> torch.Tensor:
    return 4 * torch.randn(5, 500, generator=torch.Generator().manual_seed(seed))


@given(logits_with_ties(), st.integers(1, 14))
def test_top_k_is_that_of_transformers(logits, k):
    assert torch.equal(TopK(k)(logits, nothing_yet(logits)), TopKLogitsWarper(k)(NOTHING, logits))


@given(logits_with_ties(), st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_min_p_is_that_of_transformers(logits, p):
    assert torch.equal(MinP(p)(logits, nothing_yet(logits)), MinPLogitsWarper(p)(NOTHING, logits))


@given(logits_with_ties(), st.floats(0.05, 4))
def test_temperature_is_that_of_transformers(logits, temperature):
    assert torch.equal(
        Temperature(temperature)(logits, nothing_yet(logits)),
        TemperatureLogitsWarper(temperature)(NOTHING, logits),
    )


@given(st.integers(0, 10**6), st.floats(0.01, 0.999))
@settings(max_examples=50)
def test_top_p_is_that_of_transformers(seed, p):
    logits = distinct_logits(seed)
    assert torch.equal(TopP(p)(logits, nothing_yet(logits)), TopPLogitsWarper(p)(NOTHING, logits))


@given(logits_with_ties(), st.floats(0.01, 0.999))
def test_top_p_among_ties_keeps_as_many_as_transformers(logits, p):
    ours, theirs = TopP(p)(logits, nothing_yet(logits)), TopPLogitsWarper(p)(NOTHING, logits)
    assert torch.equal(ours.sort().values, theirs.sort().values)


@given(logits_with_ties(), st.sampled_from([0.2, 0.5, 0.9, 0.999]))
def test_typical_is_that_of_transformers(logits, p):
    assert torch.equal(Typical(p)(logits, nothing_yet(logits)), TypicalLogitsWarper(p)(NOTHING, logits))


@given(logits_with_ties(), st.sampled_from([1e-6, 0.01, 0.1, 0.5, 0.99]))
def test_epsilon_is_that_of_transformers(logits, epsilon):
    assert torch.equal(Epsilon(epsilon)(logits, nothing_yet(logits)), EpsilonLogitsWarper(epsilon)(NOTHING, logits))


@given(st.integers(0, 10**6), st.sampled_from([1e-6, 3e-4, 0.01, 0.1, 0.5]))
def test_eta_is_that_of_transformers(seed, epsilon):
    logits = distinct_logits(seed)
    assert torch.equal(Eta(epsilon)(logits, nothing_yet(logits)), EtaLogitsWarper(epsilon)(NOTHING, logits))


@given(logits_with_ties(), st.sampled_from([0.1, 0.5, 1.0, 3.0]))
def test_top_n_sigma_is_its_definition(logits, n):
    kept = TopNSigma(n)(logits, nothing_yet(logits)).isfinite()
    for row, found in zip(logits.tolist(), kept.tolist(), strict=True):
        possible = [value for value in row if value > -math.inf]
        bound = max(possible) - n * statistics.pstdev(possible)
        clear = [abs(value - bound) > 1e-5 for value in row]
        assert [one for one, is_clear in zip(found, clear, strict=True) if is_clear] == [
            value > bound for value, is_clear in zip(row, clear, strict=True) if is_clear
        ]


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_no_temperature_changes_what_top_n_sigma_keeps(temperature):
    logits = distinct_logits(1)
    warmed = Temperature(temperature)(logits, nothing_yet(logits))
    kept = TopNSigma(1.0)(warmed, nothing_yet(logits)).isfinite()
    assert torch.equal(kept, TopNSigma(1.0)(logits, nothing_yet(logits)).isfinite())


EVERY = (TopK(3), TopP(0.6), MinP(0.2), Typical(0.6), TopNSigma(1.0), Epsilon(0.1), Eta(0.1), Temperature(1e-5))


@pytest.mark.parametrize("processor", EVERY, ids=lambda processor: type(processor).__name__)
def test_rows_without_any_token_stay_so_and_leave_their_neighbours_alone(processor):
    whole = distinct_logits(0)[:2]
    logits = torch.cat([whole[:1], torch.full_like(whole[:1], -math.inf), whole[1:]])
    after = processor(logits, nothing_yet(logits))
    assert torch.equal(after[[0, 2]], processor(whole, nothing_yet(whole)))
    assert not after[1].isfinite().any()


@pytest.mark.parametrize("processor", EVERY, ids=lambda processor: type(processor).__name__)
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_extreme_logits_keep_their_best(processor, size):
    logits = size * torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).abs()
    after = processor(logits, nothing_yet(logits))
    best = after.gather(1, logits.argmax(-1, keepdim=True))
    assert not best.isnan().any() and (best > -math.inf).all()


@pytest.mark.parametrize(("p", "kept"), [(0.5, 1), (0.500001, 2), (0.75, 2), (0.76, 3), (1e-9, 1), (1.0, 4)])
def test_top_p_keeps_the_token_that_reaches_p(p, kept):
    logits = torch.tensor([[0.5, 0.25, 0.25, 0.0]]).log()
    finite = TopP(p)(logits, nothing_yet(logits)).isfinite().sum().item() if p < 1 else 4
    assert finite == kept


@given(logits_with_ties())
def test_something_always_stays_and_the_input_is_not_touched(logits):
    before = logits.clone()
    history = History.of([[0]] * len(logits))
    smallest = (TopK(1), TopP(1e-9), MinP(1.0), Typical(1e-9), TopNSigma(1e-9), Epsilon(0.999), Eta(0.999))
    for processor in (*smallest, Temperature(0.1), RepetitionPenalty(1.5)):
        after = processor(logits, history)
        assert after.isfinite().any(-1).all()
        assert torch.equal(logits, before)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Temperature, 0.0),
        (Temperature, math.nan),
        (Temperature, math.inf),
        (Temperature, -1.0),
        (TopK, 0),
        (TopP, 0.0),
        (TopP, 1.1),
        (TopP, math.nan),
        (MinP, -0.1),
        (MinP, 1.1),
        (RepetitionPenalty, 0.0),
        (RepetitionPenalty, math.nan),
        (Typical, 0.0),
        (TopNSigma, 0.0),
        (Epsilon, 0.0),
        (Epsilon, 1.0),
        (Eta, math.nan),
    ],
)
def test_values_out_of_range_are_refused(kind, value):
    with pytest.raises(ConfigError, match=kind.__name__):
        kind(value)
