import numpy as np
import pytest

from textus.corpus.document import Document
from textus.dataset.shard import DataHash, ShardWriter, TokenShard
from textus.dataset.split import TokenSplit
from textus.evaluation.documents import evenly_chosen, frame, frames, split_documents

TEXTS = [Document("the fox " * size, f"{size}.txt") for size in (3, 0, 1, 20, 7)]


@pytest.fixture
def split(tokenizer, tmp_path):
    with ShardWriter(tmp_path / "a.tokens", tokenizer.vocab_size, tokenizer.fingerprint, tokenizer.end) as writer:
        for document in TEXTS:
            writer.append(document.id, np.array(tokenizer.encode(document.text), dtype=np.uint32), document.num_bytes)
    ids = [document.id for document in TEXTS]
    return TokenSplit("validation", [TokenShard.open(tmp_path / "a.tokens")], DataHash.of(ids))


def test_texts_are_framed_as_shards_hold_them(tokenizer, split):
    stored = list(split_documents(split))
    assert len(stored) == len(TEXTS)
    for document, (tokens, size) in zip(TEXTS, stored, strict=True):
        framed, num_bytes = frame(tokenizer, document)
        assert np.array_equal(framed, tokens)
        assert num_bytes == size == document.num_bytes


def test_documents_encoded_together_are_those_encoded_alone(tokenizer):
    texts = [*TEXTS, Document("der Fuchs 🦊 " * 20_000, "long"), Document("\n", "line")] * 3
    for (tokens, size), document in zip(frames(tokenizer, texts), texts, strict=True):
        alone, num_bytes = frame(tokenizer, document)
        assert np.array_equal(tokens, alone) and tokens.dtype == alone.dtype and size == num_bytes
    assert list(frames(tokenizer, [])) == []


def test_what_goes_wrong_while_encoding_is_told_and_half_a_pass_ends(tokenizer):
    class Broken:
        begin = end = 0

        def encode_batch(self, texts):
            raise ValueError(len(texts))

    with pytest.raises(ValueError, match="5"):
        list(frames(Broken(), TEXTS))
    begun = frames(tokenizer, TEXTS)
    next(begun)
    begun.close()


def test_all_documents_are_chosen_where_they_fit(split):
    chosen = list(evenly_chosen(split, split.num_tokens))
    assert sum(map(len, chosen)) == split.num_tokens


@pytest.mark.parametrize("most", [1, 5, 20, 60])
def test_documents_are_chosen_evenly_and_never_none(split, most):
    share = most / split.num_tokens
    chosen = list(evenly_chosen(split, most))
    assert len(chosen) == int(np.ceil(len(TEXTS) * min(1, share)))
    assert np.array_equal(chosen[0], split.document(0))
