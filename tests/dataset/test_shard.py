from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.dataset.shard import HEADER_BYTES, DataHash, ShardWriter, TokenShard
from textus.errors import ArtefactError

END = 5


def write(path, documents, vocab_size=1000):
    with ShardWriter(path, vocab_size, "fingerprint", END) as writer:
        for index, tokens in enumerate(documents):
            writer.append(f"document {index}", np.array(tokens, np.uint32), 7 * index)
        assert writer.num_tokens == sum(len(tokens) + 2 for tokens in documents)
    return path


@pytest.fixture
def shard(tmp_path):
    return write(tmp_path / "a.tokens", [[1, 2, 3], [], [999]])


@given(documents=st.lists(st.lists(st.integers(0, 99_999))), wide=st.booleans())
def test_what_is_written_is_read(tmp_path_factory, documents, wide):
    vocab_size = 100_000 if wide else 1 << 16
    documents = [[token % vocab_size for token in tokens] for tokens in documents]
    path = write(tmp_path_factory.mktemp("shard") / "a.tokens", documents, vocab_size)
    shard = TokenShard.open(path)
    shard.verify()
    assert shard.tokens.dtype == (np.uint32 if wide else np.uint16)
    assert [shard.tokens[a:b].tolist() for a, b in zip(shard.offsets, shard.offsets[1:], strict=False)] == [
        [END, *tokens, END] for tokens in documents
    ]
    assert shard.document_bytes.tolist() == [7 * index for index in range(len(documents))]
    header = shard.header
    assert (header.num_tokens, header.num_documents) == (len(shard.tokens), len(documents))
    assert header.num_bytes == sum(shard.document_bytes)
    assert header.data == DataHash.of(f"document {index}" for index in range(len(documents)))
    assert header.sha256 == hashlib.sha256(path.read_bytes()[HEADER_BYTES:]).hexdigest()


def test_any_cut_is_noticed(shard):
    whole = shard.read_bytes()
    for size in (0, 10, HEADER_BYTES - 1, HEADER_BYTES, len(whole) - 8, len(whole) - 1):
        shard.write_bytes(whole[:size])
        with pytest.raises(ArtefactError, match="not a whole token shard"):
            TokenShard.open(shard)


def test_a_changed_byte_is_noticed(shard):
    whole = bytearray(shard.read_bytes())
    whole[HEADER_BYTES + 2] ^= 1
    shard.write_bytes(whole)
    with pytest.raises(ArtefactError, match="checksum"):
        TokenShard.open(shard).verify()


def test_offsets_that_do_not_fit_are_noticed(shard):
    whole = bytearray(shard.read_bytes())
    whole[-32] ^= 1
    shard.write_bytes(whole)
    with pytest.raises(ArtefactError, match="offsets"):
        TokenShard.open(shard)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"uint16", b"object"), (b'"num_tokens": 10', b'"num_tokens": -1'), (b'"dtype"', b'"other"'), (b"{", b"[")],
)
def test_a_damaged_header_is_noticed(shard, old, new):
    whole = shard.read_bytes()
    assert old in whole
    shard.write_bytes(whole.replace(old, new, 1))
    with pytest.raises(ArtefactError, match="header"):
        TokenShard.open(shard)


def test_a_foreign_or_missing_file_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="No such file"):
        TokenShard.open(tmp_path / "none.tokens")
    (tmp_path / "text.tokens").write_text("text " * 5000)
    with pytest.raises(ArtefactError, match="does not begin as a token shard"):
        TokenShard.open(tmp_path / "text.tokens")


def test_a_shard_that_failed_half_way_is_not_readable(tmp_path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "a.tokens", 10, "", 0) as writer:
        writer.append("a", np.array([1]), 1)
        raise RuntimeError
    with pytest.raises(ArtefactError):
        TokenShard.open(tmp_path / "a.tokens")


def test_a_token_outside_the_vocabulary_is_our_mistake(tmp_path):
    with pytest.raises(AssertionError), ShardWriter(tmp_path / "a.tokens", 10, "", 0) as writer:
        writer.append("a", np.array([10]), 1)
