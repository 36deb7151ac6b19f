import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.logits_process import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

from textus.decoding.history import History
from textus.decoding.penalties import (
    LONGEST_MATCH,
    Dry,
    FrequencyPenalty,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
)
from textus.errors import ConfigError

VOCAB = 6
TOKENS = st.integers(0, VOCAB - 1)
TEXT = st.lists(TOKENS, max_size=24)


def logits_of(seed: int, rows: int = 1) -> torch.Tensor:
    logits = 3 * torch.randn(rows, VOCAB, generator=torch.Generator().manual_seed(seed))
    logits[:, seed % VOCAB] = -math.inf
    return logits


@given(TEXT.filter(len), st.integers(0, 99), st.sampled_from([0.5, 1.0, 1.3]))
def test_repetition_penalty_is_that_of_transformers(tokens, seed, penalty):
    logits = logits_of(seed)
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([tokens]), logits)
    assert torch.equal(RepetitionPenalty(penalty)(logits, History.of([tokens])), theirs)


@given(TEXT.filter(len), st.integers(0, 99), st.integers(1, 4))
def test_no_repeat_ngram_is_that_of_transformers(tokens, seed, size):
    logits = logits_of(seed)
    theirs = NoRepeatNGramLogitsProcessor(size)(torch.tensor([tokens]), logits)
    assert torch.equal(NoRepeatNgram(size)(logits, History.of([tokens])), theirs)


@given(TEXT, st.data(), st.floats(-2, 2))
def test_frequency_and_presence_count_what_the_model_wrote(tokens, data, penalty):
    written = data.draw(st.integers(0, len(tokens)))
    logits, said = logits_of(1), Counter(tokens[len(tokens) - written :])
    history = History.of([tokens], written=[written])
    frequency = torch.tensor([[penalty * said[token] for token in range(VOCAB)]])
    presence = torch.tensor([[penalty * (token in said) for token in range(VOCAB)]])
    torch.testing.assert_close(FrequencyPenalty(penalty)(logits, history), logits - frequency)
    torch.testing.assert_close(PresencePenalty(penalty)(logits, history), logits - presence)


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_filling_is_never_counted(rows):
    history = History.of(rows, written=list(map(len, rows)))
    taken = FrequencyPenalty(1.0, spare=(2,))(torch.zeros(len(rows), VOCAB), history)
    said = [[-row.count(token) * (token != 2) for token in range(VOCAB)] for row in rows]
    assert taken.tolist() == said
    banned = NoRepeatNgram(1, spare=(2,))(torch.zeros(len(rows), VOCAB), history)
    assert (banned == -math.inf).tolist() == [[count < 0 for count in row] for row in said]


def dry(row, multiplier, base, allowed, breakers):
    """The loop of text-generation-webui, where DRY was first written."""
    longest: dict[int, int] = {}
    if not row or row[-1] in breakers:
        return {}
    for place in [place for place, token in enumerate(row[:-1]) if token == row[-1]]:
        following = row[place + 1]
        if following in breakers:
            continue
        length = 1
        while length < LONGEST_MATCH:
            before = place - length
            if before < 0 or row[before] != row[-1 - length] or row[before] in breakers:
                break
            length += 1
        longest[following] = max(longest.get(following, 0), length)
    return {token: multiplier * base ** (length - allowed) for token, length in longest.items() if length >= allowed}


@given(TEXT, st.integers(1, 4), st.lists(TOKENS, max_size=2))
def test_dry_is_the_loop_that_it_came_from(tokens, allowed, breakers):
    logits = torch.zeros(1, VOCAB)
    found = Dry(0.8, 1.75, allowed, tuple(breakers))(logits, History.of([tokens]))
    taken = dry(tokens, 0.8, 1.75, allowed, breakers)
    expected = torch.tensor([[-taken.get(token, 0.0) for token in range(VOCAB)]])
    torch.testing.assert_close(found, expected)


def test_dry_of_a_very_long_repetition_stays_a_number():
    found = Dry(0.8)(torch.zeros(1, VOCAB), History.of([[1] * 3000]))
    assert found.isfinite().all() and found[0, 1] < -1e10


EVERY = (
    RepetitionPenalty(1.3),
    RepetitionPenalty(1.3, window=3),
    RepetitionPenalty(1.3, scope="written"),
    FrequencyPenalty(0.5),
    PresencePenalty(0.5),
    NoRepeatNgram(2),
    Dry(1.0, allowed=1),
)


@pytest.mark.parametrize("processor", EVERY, ids=repr)
@given(st.lists(TEXT, min_size=2, max_size=3), st.data())
def test_neighbours_of_other_lengths_change_nothing(processor, rows, data):
    written = [data.draw(st.integers(0, len(row))) for row in rows]
    logits = logits_of(3, len(rows))
    together = processor(logits, History.of(rows, written))
    for number, row in enumerate(rows):
        alone = processor(logits[[number]], History.of([row], [written[number]]))
        assert torch.equal(together[[number]], alone)


def test_window_and_scope_say_what_the_repetition_penalty_sees():
    logits, history = torch.ones(1, VOCAB), History.of([[0, 1, 2, 3]], written=[2])

    def penalised(**options):
        changed = RepetitionPenalty(2.0, **options)(logits, history) != logits
        return changed.nonzero()[:, 1].tolist()

    assert penalised() == [0, 1, 2, 3]
    assert penalised(window=1) == [3]
    assert penalised(window=99) == [0, 1, 2, 3]
    assert penalised(scope="written") == [2, 3]
    assert penalised(scope="written", window=3) == [2, 3]


@pytest.mark.parametrize(
    "processor",
    [
        RepetitionPenalty(2.0, spare=(1,)),
        FrequencyPenalty(1.0, spare=(1,)),
        PresencePenalty(1.0, spare=(1,)),
        NoRepeatNgram(1, spare=(1,)),
        Dry(5.0, allowed=1, breakers=(1,)),
    ],
    ids=repr,
)
def test_tokens_that_end_a_turn_are_spared(processor):
    logits = torch.ones(1, VOCAB)
    after = processor(logits, History.of([[0, 1, 0, 2, 0]], written=[5]))
    assert after[0, 1] == 1
    assert after[0, 2] < 1, "and others are not"


def test_penalties_before_the_temperature_are_not_penalties_behind_it():
    # The penalty of CTRL divides what is above zero and multiplies what is below: a shift changes what it does.
    logits, history = torch.tensor([[2.0, 1.0]]), History.of([[0]])
    shifted = RepetitionPenalty(2.0)(logits - 10, history) + 10
    assert not torch.equal(RepetitionPenalty(2.0)(logits, history), shifted)


@pytest.mark.parametrize("penalty", [-2.5, 2.5, math.nan])
def test_penalties_out_of_range_are_refused(penalty):
    for kind in (FrequencyPenalty, PresencePenalty):
        with pytest.raises(ConfigError, match=r"in \[-2, 2\]"):
            kind(penalty)


def test_a_penalty_is_not_mistaken_for_another():
    # transformers serve turns a frequency penalty f into a repetition penalty 1 + f.
    logits, history = torch.tensor([[-1.0, -1.0]]), History.of([[0, 0]], written=[2])
    assert FrequencyPenalty(1.0)(logits, history).tolist() == [[-3.0, -1.0]]
    assert FrequencyPenalty(-1.0)(logits, history).tolist() == [[1.0, -1.0]]
