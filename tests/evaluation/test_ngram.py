import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.errors import CorpusError
from textus.evaluation.ngram import NGram, evaluate_ngram

VOCAB = 6
TEXT = st.lists(st.integers(1, VOCAB - 1), max_size=25).map(lambda tokens: np.array([0, *tokens, 0]))


class KneserNey:
    """The definition, with dictionaries and one probability at a time."""

    def __init__(self, documents, order):
        grams = defaultdict(Counter)
        before = defaultdict(lambda: defaultdict(set))
        for document in map(np.ndarray.tolist, documents):
            for end in range(1, len(document)):
                for n in range(1, min(order, end + 1) + 1):
                    gram = tuple(document[end - n + 1 : end + 1])
                    grams[n][gram] += 1
                    if end - n >= 0:
                        before[n][gram].add(document[end - n])
        self.order = max(grams)
        self.adjusted = {
            n: {
                gram: raw if n == self.order or (n > 1 and gram[0] == 0) else len(before[n][gram])
                for gram, raw in grams[n].items()
            }
            for n in grams
        }
        self.discounts = {n: self._discounts(list(counts.values())) for n, counts in self.adjusted.items()}

    def _discounts(self, counts):
        n = [counts.count(i) for i in range(5)]
        if all(n[1:]):
            y = n[1] / (n[1] + 2 * n[2])
            found = [0, *(i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3))]
            if min(found[1:]) > 0:
                return found
        return [0, 0.5, 1.0, 1.5]

    def probability(self, word, history, n=None):
        n = min(self.order, len(history) + 1) if n is None else n
        if n == 0:
            return 1 / VOCAB
        context = tuple(history[len(history) - n + 1 :])
        lower = self.probability(word, history, n - 1)
        followers = {gram[-1]: count for gram, count in self.adjusted[n].items() if gram[:-1] == context}
        if not followers:
            return lower
        total, discount = sum(followers.values()), self.discounts[n]
        held = sum(discount[min(count, 3)] for count in followers.values())
        count = followers.get(word, 0)
        return (count - discount[min(count, 3)]) / total + held / total * lower


@given(st.lists(TEXT, min_size=1, max_size=6), TEXT, st.integers(1, 5))
@settings(max_examples=80)
def test_probabilities_are_those_of_the_definition(documents, text, order):
    oracle = KneserNey(documents, order)
    found = NGram.train(documents, VOCAB, order=order).logprobs([text])
    tokens = text.tolist()
    expected = [oracle.probability(tokens[at], tokens[max(0, at - order + 1) : at]) for at in range(1, len(tokens))]
    assert np.exp(found) == pytest.approx(expected, rel=1e-5)


def natural_documents(count: int, vocab: int = 50) -> list[np.ndarray]:
    """Texts with structure: each token mostly depends on the two before it."""
    numbers = np.random.default_rng(0)
    table = numbers.integers(1, vocab, (vocab, 5))
    documents = []
    for _ in range(count):
        tokens = [0, 1]
        for choice in numbers.geometric(0.5, 200):
            tokens.append(int(table[(tokens[-1] * 7 + tokens[-2]) % vocab, min(choice - 1, 4)]))
        documents.append(np.array([*tokens, 0]))
    return documents


@pytest.mark.parametrize("history", [[0], [0, 1], [0, 5, 9, 3], [0, 49, 48, 47, 46, 45], "seen"])
def test_probabilities_sum_to_one(history):
    documents = natural_documents(40)
    model = NGram.train(documents, 50)
    history = documents[3][:17].tolist() if history == "seen" else history
    continued = [np.array([*history, token]) for token in range(50)]
    last = model.logprobs(continued).reshape(50, -1)[:, -1]
    assert np.exp(last).sum() == pytest.approx(1, abs=1e-6)
    assert np.isfinite(last).all()


def test_documents_do_not_see_each_other():
    documents = natural_documents(12)
    model = NGram.train(documents[:8], 50)
    together = model.logprobs(documents[8:])
    assert np.array_equal(together, np.concatenate([model.logprobs([document]) for document in documents[8:]]))


def test_longer_histories_help_where_there_is_something_to_know():
    documents = natural_documents(200)
    loss = {n: -NGram.train(documents[:190], 50, order=n).logprobs(documents[190:]).mean() for n in (1, 2, 3)}
    assert loss[3] < loss[2] < loss[1] < math.log(50)


def test_no_more_than_the_allowed_tokens_are_counted():
    documents = natural_documents(20)
    held = documents[:3]
    assert np.array_equal(
        NGram.train(documents, 50, maximum_tokens=300).logprobs(held),
        NGram.train([documents[0], documents[1][: 300 - len(documents[0])]], 50).logprobs(held),
    )


def test_small_token_types_do_not_overflow():
    documents = [document.astype(np.uint16) for document in natural_documents(5)]
    large = NGram.train(documents, 60_000).logprobs(documents)
    assert np.array_equal(large, NGram.train([d.astype(np.int64) for d in documents], 60_000).logprobs(documents))


def test_it_is_measured_as_a_network_is(tokenizer):
    texts = ["the quick brown fox", "über den Hund", "", "the lazy dog"] * 8
    documents = [(np.array([0, *tokenizer.encode(text), 0]), len(text.encode())) for text in texts]
    model = NGram.train((tokens for tokens, _ in documents), tokenizer.vocab_size)
    found = evaluate_ngram(model, tokenizer, documents, data="data")
    logprobs = model.logprobs(tokens for tokens, _ in documents)
    assert found.tokens == len(logprobs) == sum(len(tokens) - 1 for tokens, _ in documents)
    bits = -logprobs.sum() / math.log(2) / sum(size for _, size in documents)
    assert found.score("bits_per_byte").value == pytest.approx(bits)
    assert found.score("loss").tokenizer == tokenizer.fingerprint


@pytest.mark.parametrize("documents", [[], [np.array([0])]])
def test_nothing_to_count_is_an_error(documents):
    with pytest.raises(CorpusError, match="no text"):
        NGram.train(documents, VOCAB)
