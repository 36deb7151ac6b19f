import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from textus.decoding.processors import NO_TOKEN, MinP, RepetitionPenalty, Temperature, TopK, TopP
from textus.errors import ConfigError

HALVES = st.integers(-8, 8).map(lambda number: number / 2)


def nothing_yet(logits: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(logits), 0, dtype=torch.int64)


def logits_with_ties(vocab: int = 12) -> st.SearchStrategy[torch.Tensor]:
    row = st.lists(st.one_of(HALVES, st.just(-math.inf)), min_size=vocab, max_size=vocab)
    rows = st.lists(row.filter(lambda values: max(values) > -math.inf), min_size=1, max_size=3)
    return rows.map(torch.tensor)


def distinct_logits(seed: int) -> torch.Tensor:
    return 4 * torch.randn(5, 500, generator=torch.Generator().manual_seed(seed))


@given(logits_with_ties(), st.integers(1, 14))
def test_top_k_is_that_of_transformers(logits, k):
    assert torch.equal(TopK(k)(logits, nothing_yet(logits)), TopKLogitsWarper(k)(nothing_yet(logits), logits))


@given(logits_with_ties(), st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_min_p_is_that_of_transformers(logits, p):
    assert torch.equal(MinP(p)(logits, nothing_yet(logits)), MinPLogitsWarper(p)(nothing_yet(logits), logits))


@given(logits_with_ties(), st.floats(0.05, 4))
def test_temperature_is_that_of_transformers(logits, temperature):
    assert torch.equal(
        Temperature(temperature)(logits, nothing_yet(logits)),
        TemperatureLogitsWarper(temperature)(nothing_yet(logits), logits),
    )


@given(st.integers(0, 10**6), st.floats(0.01, 0.999))
@settings(max_examples=50)
def test_top_p_is_that_of_transformers(seed, p):
    logits = distinct_logits(seed)
    assert torch.equal(TopP(p)(logits, nothing_yet(logits)), TopPLogitsWarper(p)(nothing_yet(logits), logits))


@given(logits_with_ties(), st.floats(0.01, 0.999))
def test_top_p_among_ties_keeps_as_many_as_transformers(logits, p):
    ours, theirs = TopP(p)(logits, nothing_yet(logits)), TopPLogitsWarper(p)(nothing_yet(logits), logits)
    assert torch.equal(ours.sort().values, theirs.sort().values)


@given(logits_with_ties(), st.lists(st.integers(0, 11), min_size=1, max_size=20), st.sampled_from([0.5, 1.0, 1.3]))
def test_repetition_penalty_is_that_of_transformers(logits, tokens, penalty):
    history = torch.tensor([tokens] * len(logits))
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(history, logits)
    assert torch.equal(RepetitionPenalty(penalty)(logits, history), theirs)


@given(logits_with_ties(), st.lists(st.integers(0, 11), max_size=5))
def test_padding_of_the_history_is_no_token(logits, tokens):
    history = torch.tensor([tokens] * len(logits), dtype=torch.int64).reshape(len(logits), -1)
    padded = torch.nn.functional.pad(history, (3, 0), value=NO_TOKEN)
    assert torch.equal(RepetitionPenalty(2.0)(logits, history), RepetitionPenalty(2.0)(logits, padded))


@pytest.mark.parametrize(("p", "kept"), [(0.5, 1), (0.500001, 2), (0.75, 2), (0.76, 3), (1e-9, 1), (1.0, 4)])
def test_top_p_keeps_the_token_that_reaches_p(p, kept):
    logits = torch.tensor([[0.5, 0.25, 0.25, 0.0]]).log()
    finite = TopP(p)(logits, nothing_yet(logits)).isfinite().sum().item() if p < 1 else 4
    assert finite == kept


@given(logits_with_ties())
def test_something_always_stays_and_the_input_is_not_touched(logits):
    before = logits.clone()
    history = torch.zeros(len(logits), 1, dtype=torch.int64)
    for processor in (TopK(1), TopP(1e-9), MinP(1.0), Temperature(0.1), RepetitionPenalty(1.5)):
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
    ],
)
def test_values_out_of_range_are_refused(kind, value):
    with pytest.raises(ConfigError, match=kind.__name__):
        kind(value)
