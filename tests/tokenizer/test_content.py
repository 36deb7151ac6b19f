"""Tokenizers that others made, of every kind that is read."""

from __future__ import annotations

import json
from pydoc_data.topics import topics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from textus.errors import TokenizerError
from textus.tokenizer.content import SPECIAL_TOKENS
from textus.tokenizer.tokenizer import Tokenizer

TEXTS = list(topics.values())[:12]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece() -> Engine:
    engine = Engine(models.WordPiece(unk_token="[UNK]"))
    engine.normalizer = normalizers.BertNormalizer(lowercase=True)
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    engine.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=600, special_tokens=BERT, show_progress=False)
    )
    return engine


def unigram() -> Engine:
    engine = Engine(models.Unigram())
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    engine.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    return engine


def characters() -> Engine:
    """BPE on characters with bytes to fall back on, as Llama 2 has it."""
    names = [*SPECIAL_TOKENS[:1], *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a", "ab", "▁ab"]
    merges = [("▁", "a"), ("a", "b"), ("▁a", "b")]
    vocabulary = {name: token for token, name in enumerate(names)}
    engine = Engine(models.BPE(vocabulary, merges, byte_fallback=True))
    engine.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    engine.decoder = decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()])
    engine.add_special_tokens(list(SPECIAL_TOKENS[:1]))
    return engine


MADE = {"WordPiece": wordpiece, "Unigram": unigram, "BPE": characters}


@pytest.fixture(scope="module", params=sorted(MADE))
def imported(request) -> tuple[str, Engine, Tokenizer]:
    engine = Engine.from_str(MADE[request.param]().to_str())  # in the file, scores of a Unigram are rounded
    return request.param, engine, Tokenizer(engine.to_str())


def test_every_kind_is_read(imported):
    kind, engine, tokenizer = imported
    assert (tokenizer.kind, tokenizer.is_lossless) == (kind, False)
    assert tokenizer.vocab_size == engine.get_vocab_size()
    assert all(tokenizer.token_bytes(token) or token == 0 for token in range(tokenizer.vocab_size))
    for text in TEXTS:
        assert tokenizer.encode(text) == engine.encode(text, add_special_tokens=False).ids
    again = Tokenizer(engine.to_str())
    assert again.fingerprint == tokenizer.fingerprint


@given(text=st.text(st.sampled_from("ab <|>/sPADendoftext[]_MASK\n")))
def test_no_text_becomes_a_special_token(imported, text):
    _, engine, tokenizer = imported
    names = [engine.id_to_token(token) for token in tokenizer.special]
    for written in (text, *names, f"a{names[0]}{text}{names[-1]}"):
        unknown = {engine.token_to_id(name) for name in ("[UNK]", "<unk>")}
        assert not tokenizer.special & set(tokenizer.encode(written)) - unknown
        assert [tokens.tolist() for tokens in tokenizer.encode_batch([written])] == [tokenizer.encode(written)]


def test_words_come_back_with_the_spaces_between_them(imported):
    kind, _, tokenizer = imported
    text = "ab a b ab" if kind == "BPE" else "the value of the name"
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    stream = tokenizer.stream()
    assert "".join(map(stream.push, tokens)) + stream.flush() in (text, f" {text}")


def test_end_and_mask_are_found_by_the_names_that_others_gave_them(imported):
    kind, engine, tokenizer = imported
    ends = {"WordPiece": "[SEP]", "Unigram": "</s>", "BPE": "<|endoftext|>"}
    assert tokenizer.end == engine.token_to_id(ends[kind])
    if kind == "WordPiece":
        assert tokenizer.mask == engine.token_to_id("[MASK]")
    else:
        with pytest.raises(TokenizerError, match="no token `<mask>`"):
            _ = tokenizer.mask


def test_saved_it_is_opened_by_transformers(imported, tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra `hf` is not installed")
    _, engine, tokenizer = imported
    tokenizer.save(tmp_path)
    assert Tokenizer.load(tmp_path).fingerprint == tokenizer.fingerprint
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("ab", add_special_tokens=False).input_ids == engine.encode("ab", add_special_tokens=False).ids
    assert theirs.eos_token_id == tokenizer.end


def test_a_space_put_before_every_text_is_a_loss(tokenizer):
    values = json.loads(tokenizer._content)
    assert tokenizer.is_lossless and tokenizer.kind == "byte-level BPE"
    values["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
    assert not Tokenizer(json.dumps(values)).is_lossless
    values = json.loads(tokenizer._content) | {"normalizer": {"type": "Lowercase"}}
    assert not Tokenizer(json.dumps(values)).is_lossless


def test_an_entry_that_was_added_and_is_not_special_is_a_token_of_its_text(tokenizer):
    values = json.loads(tokenizer._content)
    entry = {**values["added_tokens"][0], "id": 2048, "content": "Kubernetes", "special": False}
    values["added_tokens"].append(entry)
    values["model"]["vocab"]["Kubernetes"] = 2048
    other = Tokenizer(json.dumps(values))
    assert 2048 not in other.special and 2048 in other.encode("with Kubernetes here")
    assert other.decode(other.encode("with Kubernetes here")) == "with Kubernetes here"


def test_a_file_without_the_name_of_its_kind_is_read():
    values = json.loads(wordpiece().to_str())
    del values["model"]["type"]
    assert Tokenizer(json.dumps(values)).kind == "WordPiece"
