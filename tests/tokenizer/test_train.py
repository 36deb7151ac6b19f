from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.config import CorpusConfig
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.corpus.pipeline import build_from
from textus.errors import ConfigError, TokenizerError
from textus.progress import SILENT
from textus.tokenizer import train
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.tokenizer import SPECIAL_TOKENS
from textus.tokenizer.train import choose_vocab_size, train_tokenizer


def size(texts):
    return sum(len(text.encode()) for text in texts)


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_more_text_never_has_fewer_tokens(a, b):
    small, large = sorted((a, b))
    assert 320 <= choose_vocab_size(small) <= choose_vocab_size(large) <= 32_768
    assert choose_vocab_size(a) % 64 == 0


def test_all_bytes_and_special_tokens_come_first(tokenizer):
    assert [tokenizer.token_bytes(token).decode() for token in range(4)] == list(SPECIAL_TOKENS)
    assert {tokenizer.token_bytes(token) for token in range(4, 260)} == {bytes([byte]) for byte in range(256)}
    assert all(len(tokenizer.token_bytes(token)) > 1 for token in range(260, 2048))


def test_merges_are_the_most_frequent_pairs():
    tokenizer = train_tokenizer(["abab abab abcd"], TokenizerConfig(vocab_size=262), 14)
    assert [tokenizer.token_bytes(token) for token in (260, 261)] == [b"ab", b" ab"]


def test_the_smallest_vocabulary_is_bytes():
    tokenizer = train_tokenizer(["some text"], TokenizerConfig(vocab_size=260), 9)
    assert len(tokenizer.encode("some text")) == 9


def test_training_is_deterministic_whatever_the_threads(texts, tokenizer):
    again = train_tokenizer(iter(texts), TokenizerConfig(vocab_size=2048), size(texts))
    assert again.fingerprint == tokenizer.fingerprint
    script = (
        "from pydoc_data.topics import topics\n"
        "from textus.tokenizer.config import TokenizerConfig\n"
        "from textus.tokenizer.train import train_tokenizer\n"
        f"texts = [*topics.values(), {texts[-1]!r}]\n"
        f"print(train_tokenizer(texts, TokenizerConfig(vocab_size=2048), {size(texts)}).fingerprint)\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], env={"RAYON_NUM_THREADS": "1"}, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == tokenizer.fingerprint


def test_a_vocabulary_larger_than_the_text_supports_is_refused():
    texts = ["the cat sat on the mat, and the cat was happy on the mat"]
    with pytest.raises(TokenizerError, match=r"supports a vocabulary of (\d+) tokens; got .*= 5000") as caught:
        train_tokenizer(texts, TokenizerConfig(vocab_size=5000), size(texts))
    supported = int(caught.value.message.split("vocabulary of ")[1].split()[0])
    assert str(supported) in caught.value.hint
    assert train_tokenizer(texts, TokenizerConfig(vocab_size=supported), size(texts)).vocab_size == supported
    assert train_tokenizer(texts, TokenizerConfig(), size(texts)).vocab_size == supported


@pytest.mark.parametrize("vocab_size", [0, 259, 10**9, "all", 1.5])
def test_a_vocabulary_out_of_range_is_refused(vocab_size):
    with pytest.raises(ConfigError, match="vocab_size"):
        TokenizerConfig(vocab_size=vocab_size)


@pytest.mark.parametrize("limit", [1, 20_000, 100_000])
def test_a_sample_is_small_even_and_the_same_each_time(texts, limit):
    with SILENT.task("", 0, "") as task:
        sample = list(train._sample(texts, size(texts), limit, task))
        assert sample == list(train._sample(texts, size(texts), limit, task))
        whole = list(train._sample(texts, size(texts), 10**9, task))
    assert "".join(whole) == "".join(texts)
    assert 0 < size(sample) <= limit + 3 * 2 * train._SAMPLE_PIECE
    if limit > 50_000:
        text, places, at = "".join(texts), [], 0
        for piece in sample:
            at = text.index(piece, at)
            places.append(at / len(text))
        assert max(b - a for a, b in zip([0.0, *places], [*places, 1.0], strict=True)) < 0.2


def test_lone_surrogates_do_not_stop_training():
    assert train_tokenizer(["a\ud800b " * 50], TokenizerConfig(), 300).vocab_size > 260


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    documents = [
        Document(f"Document {index} says: {'this and that ' * (index + 5)}", str(index)) for index in range(60)
    ]
    return build_from(documents, "documents", tmp_path / "corpus", CorpusConfig())


def test_build_trains_on_the_training_part_and_is_cached(corpus, tmp_path, monkeypatch):
    directory, config = tmp_path / "tokenizer", TokenizerConfig(vocab_size=280)
    built = train.build(corpus, directory, config)
    texts = [document.text for document in corpus.documents("train")]
    assert built.fingerprint == train_tokenizer(texts, config, size(texts)).fingerprint
    changed = train.build(corpus, directory, TokenizerConfig(vocab_size=270))
    assert changed.vocab_size == 270

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "train_tokenizer", refuse)
    assert train.build(corpus, directory, TokenizerConfig(vocab_size=270)).fingerprint == changed.fingerprint
    (directory / "tokenizer.json").write_text("{}")
    with pytest.raises(AssertionError, match="trained again"):
        train.build(corpus, directory, TokenizerConfig(vocab_size=270))
