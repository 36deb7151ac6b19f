from __future__ import annotations

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.corpus.pipeline import build_from
from textus.dataset import tokenize
from textus.dataset.shard import DataHash
from textus.dataset.tokenize import Shards, build
from textus.errors import ArtefactError
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    documents = [Document(f"Nr. {n}: {'weaving wörds ' * (n % 9)}<|endoftext|>", str(n)) for n in range(80)]
    return build_from(documents, "documents", tmp_path_factory.mktemp("made") / "corpus", CorpusConfig())


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Tokenizer:
    return train_tokenizer((document.text for document in corpus.documents("train")), TokenizerConfig(), 10_000)


@pytest.mark.parametrize(("shard_tokens", "files"), [(1 << 28, 1), (200, 5)])
def test_documents_come_back(corpus, tokenizer, tmp_path, shard_tokens, files):
    shards = build(corpus, tokenizer, tmp_path / "shards", shard_tokens=shard_tokens)
    assert shards.splits == ("train", "validation")
    for name in corpus.splits:
        split, documents = shards.split(name), list(corpus.documents(name))
        texts = [split.document(index).tolist() for index in range(split.num_documents)]
        assert [tokens[:1] + tokens[-1:] for tokens in texts] == [[tokenizer.end] * 2] * len(documents)
        assert [tokenizer.decode(tokens[1:-1]) for tokens in texts] == [document.text for document in documents]
        assert split.document_bytes.tolist() == [document.num_bytes for document in documents]
        assert split.num_bytes == corpus.num_bytes(name)
        assert split.data_fingerprint == DataHash.of(document.id for document in documents)
        assert (split.tokenizer_fingerprint, split.vocab_size) == (tokenizer.fingerprint, tokenizer.vocab_size)
        for shard in split.shards:
            shard.verify()
    assert len(shards.split("train").shards) >= files


def test_the_same_is_not_made_again(corpus, tokenizer, tmp_path, monkeypatch):
    first = build(corpus, tokenizer, tmp_path / "shards")
    monkeypatch.setattr(tokenize, "_write_split", None)
    assert build(corpus, tokenizer, tmp_path / "shards").fingerprint == first.fingerprint
    with pytest.raises(TypeError):
        build(corpus, tokenizer, tmp_path / "shards", shard_tokens=5)
    assert Shards.open(tmp_path / "shards").fingerprint == first.fingerprint


def test_small_batches_change_nothing(corpus, tokenizer, tmp_path, monkeypatch):
    whole = build(corpus, tokenizer, tmp_path / "whole")
    monkeypatch.setattr(tokenize, "_BATCH_CHARACTERS", 50)
    assert build(corpus, tokenizer, tmp_path / "small").fingerprint == whole.fingerprint


def test_another_tokenizer_makes_other_shards_of_the_same_data(corpus, tokenizer, tmp_path):
    first = build(corpus, tokenizer, tmp_path / "shards").split("train").data_fingerprint
    other = train_tokenizer(["abc"], TokenizerConfig(vocab_size=260), 3)
    split = build(corpus, other, tmp_path / "shards").split("train")
    assert split.tokenizer_fingerprint == other.fingerprint and split.data_fingerprint == first


def test_a_split_that_is_not_there_is_refused(corpus, tokenizer, tmp_path):
    shards = build(corpus, tokenizer, tmp_path / "shards")
    with pytest.raises(ArtefactError, match="no split `test`") as caught:
        shards.split("test")
    assert "train, validation" in caught.value.hint


def test_missing_and_damaged_shards_are_refused(corpus, tokenizer, tmp_path):
    with pytest.raises(ArtefactError):
        Shards.open(tmp_path)
    build(corpus, tokenizer, tmp_path / "shards")
    path = tmp_path / "shards" / "train-00000.tokens"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match=r"train-00000\.tokens"):
        Shards.open(tmp_path / "shards")
