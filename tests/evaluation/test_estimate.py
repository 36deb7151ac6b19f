import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.errors import CorpusError, DivergenceError
from textus.evaluation.estimate import BLOCK_BYTES, MINIMUM_DOCUMENTS, Tally, ratio


class Letters:
    """A vocabulary of END and of tokens of 1, 2, 3 ... bytes."""

    vocab_size = 8
    end = 0
    fingerprint = "letters"

    def token_bytes(self, token: int) -> bytes:
        return b"x" * token if token else b"<|endoftext|>"


def document(tokens: list[int]) -> tuple[np.ndarray, int]:
    return np.array([0, *tokens, 0]), sum(tokens)


def tally_of(texts: list[list[int]], nats: float = 1.0) -> Tally:
    tally = Tally(Letters())
    for tokens, size in map(document, texts):
        blocks = tally.open(tokens, size)
        tally.add(blocks, np.full(len(blocks), nats))
    return tally


TEXTS = st.lists(st.lists(st.integers(1, 7), max_size=40), min_size=1, max_size=30).filter(any)


@given(TEXTS)
def test_nothing_is_lost_or_counted_twice(texts):
    found = tally_of(texts).evaluation("data", 0.0)
    assert found.tokens == sum(len(text) + 1 for text in texts) == found.units.tokens.sum()
    assert found.num_bytes == sum(map(sum, texts)) == found.units.num_bytes.sum()
    assert found.units.kind == ("block" if len(texts) < MINIMUM_DOCUMENTS else "document")
    assert found.score("loss").value == pytest.approx(1)
    assert found.score("perplexity").value == pytest.approx(math.e)
    assert found.score("bits_per_byte").value == pytest.approx(found.tokens / math.log(2) / found.num_bytes)
    assert all(math.isfinite(score.error) for score in found.scores)


@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(texts, random):
    numbers, orders = np.random.default_rng(0), (list, lambda jobs: random.sample(jobs, len(jobs)))
    parts = [numbers.random(len(text) + 1) for text in texts]
    found = []
    for order in orders:
        tally = Tally(Letters())
        blocks = [tally.open(*document(text)) for text in texts]
        for job in order(list(range(len(texts)))):
            half = len(parts[job]) // 2
            tally.add(blocks[job][half:], parts[job][half:])
            tally.add(blocks[job][:half], parts[job][:half])
        found.append(tally.evaluation("data", 0.0))
    assert [score.value for score in found[0].scores] == pytest.approx([score.value for score in found[1].scores])
    assert [score.error for score in found[0].scores] == pytest.approx([score.error for score in found[1].scores])


def test_a_long_text_is_cut_into_blocks_of_about_4_kb():
    units = tally_of([[5] * 100_000]).blocks().units()
    assert len(units.nats) == round(500_000 / BLOCK_BYTES)
    assert np.ptp(units.num_bytes[:-1]) <= 10


def test_documents_are_units_when_there_are_enough_and_the_note_says_what_was_done():
    many, few = (tally_of([[3] * 2000] * count).evaluation("data", 0.0) for count in (MINIMUM_DOCUMENTS, 2))
    assert (many.units.kind, len(many.units.nats)) == ("document", MINIMUM_DOCUMENTS)
    assert "20 documents" in many.note
    assert few.units.kind == "block"
    assert "the documents are only 2" in few.note


def test_size_that_no_token_accounts_for_belongs_to_the_document_all_the_same():
    tally = Tally(Letters())
    blocks = tally.open(np.array([0, 2, 2, 0]), 7)
    tally.add(blocks, np.ones(3))
    assert tally.evaluation("data", 0.0).num_bytes == 7


def test_the_error_is_the_spread_of_repeated_measurements():
    numbers = np.random.default_rng(1)

    def sample() -> tuple[np.ndarray, np.ndarray]:
        sizes = numbers.lognormal(3, 1, 60)
        return sizes * numbers.normal(2.0, 0.3, 60) + numbers.normal(0, 2, 60), sizes

    found = np.array([ratio(*sample()) for _ in range(4000)])
    assert np.sqrt((found[:, 1] ** 2).mean()) == pytest.approx(found[:, 0].std(), rel=0.1)


def test_the_error_of_perplexity_follows_from_that_of_the_loss():
    tally, numbers = Tally(Letters()), np.random.default_rng(0)
    for _ in range(30):
        blocks = tally.open(*document([1] * 50))
        tally.add(blocks, numbers.normal(3, 1, len(blocks)))
    found = tally.evaluation("data", 0.0)
    loss, perplexity = found.score("loss"), found.score("perplexity")
    low, high = math.exp(loss.value - loss.error), math.exp(loss.value + loss.error)
    assert perplexity.value == pytest.approx(math.exp(loss.value))
    assert perplexity.error == pytest.approx((high - low) / 2, rel=0.01)


def test_scores_carry_what_makes_them_comparable_and_become_json():
    found = tally_of([[1, 2]]).evaluation("text", 1.5)
    assert {(score.tokenizer, score.data) for score in found.scores} == {("letters", "text")}
    values = found.as_dict()
    assert {"scores", "tokens", "bytes", "seconds"} <= set(values)
    assert set(values["scores"][0]) == {"name", "value", "error", "unit", "tokenizer", "data"}


@pytest.mark.parametrize("texts", [[], [[]], [[], []]])
def test_no_text_is_an_error_and_not_a_score(texts):
    with pytest.raises(CorpusError, match="no text"):
        tally_of(texts).evaluation("data", 0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_names_its_document(bad):
    tally = Tally(Letters())
    tally.open(*document([1]))
    blocks = tally.open(*document([1, 2]))
    with pytest.raises(DivergenceError, match="document 2"):
        tally.add(blocks, np.array([1.0, bad, 1.0]))


def test_a_hopeless_loss_has_infinite_perplexity():
    assert tally_of([[1, 2]], nats=1e4).evaluation("data", 0.0).score("perplexity").value == math.inf
