from __future__ import annotations

import hashlib
import inspect
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, pre_tokenizers

from textus.errors import TokenizerError
from textus.tokenizer.tokenizer import END, SPECIAL_TOKENS, Tokenizer
from textus.tokenizer.words import SPLIT

DATA = Path(__file__).parents[2] / "../shared/data/tokenizers"
ANYTHING = st.text() | st.text(st.sampled_from("ab AB'sSt09é½ ſ\n\r\t\u00a0\u2028。你<|>\ud83e\udd99\u0300"))


def engine_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The library on the whole text: the oracle of everything that cuts or remembers."""
    engine = Engine.from_str(json.dumps(json.loads(tokenizer._content)))
    engine.encode_special_tokens = True
    return engine.encode(text, add_special_tokens=False).ids


@given(ANYTHING)
@example("".join(map(chr, range(0x300))))
@example("<|endoftext|> <mask> <|im_start|>")
def test_every_text_comes_back(tokenizer, text):
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == whole
    assert b"".join(map(tokenizer.token_bytes, tokens)) == whole.encode()
    assert not tokenizer.special & set(tokens)
    assert [batch.tolist() for batch in tokenizer.encode_batch([text, "x", text])] == [
        tokens,
        tokenizer.encode("x"),
        tokens,
    ]


def test_tokens_are_the_engines_on_real_text(tokenizer, texts):
    whole = "\n".join(texts)
    assert len(whole) > 5 << 16
    expected = engine_ids(tokenizer, whole)
    assert tokenizer.encode(whole) == expected
    (batch,) = tokenizer.encode_batch([whole])
    assert batch.dtype == np.uint32 and batch.tolist() == expected
    assert tokenizer.encode_batch([]) == []


def test_a_text_without_a_place_to_cut_it_has_tokens(tokenizer):
    for character in "a½你\u0300 ":
        text = character * 200_000
        assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.lists(st.integers(0, 2047)))
def test_a_stream_joined_is_the_text(tokenizer, tokens):
    stream = tokenizer.stream()
    parts = [stream.push(token) for token in tokens] + [stream.flush()]
    assert "".join(parts) == tokenizer.decode(tokens)
    library = decoders.ByteLevel().decode([tokenizer._engine.id_to_token(token) for token in tokens])
    assert tokenizer.decode(tokens) == library


def test_a_stream_holds_back_half_a_character(tokenizer):
    stream, tokens = tokenizer.stream(), [tokenizer.encode(chr(0xF8FF))[0], *tokenizer.encode("a")]
    assert [stream.push(token) for token in tokens] == ["", "\ufffda"]
    assert stream.flush() == ""


def test_special_tokens(tokenizer):
    assert [tokenizer.token_bytes(token).decode() for token in range(4)] == list(SPECIAL_TOKENS)
    assert (tokenizer.end, tokenizer.mask, tokenizer.special) == (0, 1, {0, 1, 2, 3})
    assert tokenizer.decode([0, *tokenizer.encode("a"), 0]) == "<|endoftext|>a<|endoftext|>"
    assert tokenizer.decode([0, *tokenizer.encode("a"), 0], skip_special=True) == "a"


def test_tokens_shown_to_people(tokenizer):
    assert tokenizer.token_text(tokenizer.encode("\n")[0]) == r"\n"
    assert tokenizer.token_text(tokenizer.encode(" the")[0]) == " the"
    assert tokenizer.token_text(tokenizer.encode(chr(0xF8FF))[0]) == r"\xef"


@pytest.mark.parametrize("token", [-1, 2048, 10**30])
def test_a_token_that_is_not_there_is_refused(tokenizer, token):
    with pytest.raises(TokenizerError, match=f"no token {token}: there are 2048"):
        tokenizer.decode([token])


def test_bytes_per_token(tokenizer):
    text = "the ½ of it"
    assert tokenizer.bytes_per_token([text, text]) == len(text.encode()) / len(tokenizer.encode(text))
    with pytest.raises(TokenizerError, match="no text"):
        tokenizer.bytes_per_token([""])


def test_saved_and_loaded_is_the_same(tokenizer, texts, tmp_path):
    tokenizer.save(tmp_path)
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        again = Tokenizer.load(path)
        assert again.fingerprint == tokenizer.fingerprint
        assert again.encode(texts[0]) == tokenizer.encode(texts[0])
    assert tokenizer.fingerprint == hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest()
    assert repr(again) == f"Tokenizer(2048 tokens, {tokenizer.fingerprint[:12]})"


@pytest.mark.parametrize("model_type", ["none", "qwen3", "llama", "modernbert"])
def test_transformers_opens_it(tokenizer, texts, tmp_path, model_type):
    transformers = pytest.importorskip("transformers", reason="the extra `hf` is not installed")
    tokenizer.save(tmp_path, context_length=512)
    if model_type != "none":
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id, theirs.mask_token_id) == (0, 0, 0, 1)
    assert (len(theirs), theirs.model_max_length) == (2048, 512)
    assert set(theirs.all_special_tokens) == set(SPECIAL_TOKENS)
    for text in texts[-5:]:
        ids = theirs(text[:400]).input_ids
        assert ids == [tokenizer.end, *tokenizer.encode(text[:400])]
        assert theirs.decode(ids, skip_special_tokens=True) == text[:400]
    assert theirs("a <mask>").input_ids == [0, *tokenizer.encode("a "), tokenizer.mask]


def test_the_split_is_llama_3s():
    converter = pytest.importorskip("transformers.convert_slow_tokenizer", reason="the extra `hf` is not installed")
    assert inspect.signature(converter.TikTokenConverter.__init__).parameters["pattern"].default == SPLIT


def damaged(content: str, **changes: object) -> str:
    values = json.loads(content)
    values["model"] |= changes
    return json.dumps(values)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: content[: len(content) // 2], "not a tokenizer.json"),
        (lambda content: "", "not a tokenizer.json"),
        (lambda content: "[]", "not a tokenizer.json"),
        (lambda content: content.replace("BPE", "WordLevel"), "a WordLevel tokenizer"),
        (lambda content: damaged(content, merges=[["no", "such"]]), "not a tokenizer.json"),
        (lambda content: content.replace('"Ā"', '"\u4e00"'), "no string of bytes"),
        (lambda content: content.replace('"Ā": ', '"Ā": 9'), "have gaps"),
    ],
)
def test_a_damaged_file_is_refused(tokenizer, tmp_path, change, problem):
    path = tmp_path / "tokenizer.json"
    path.write_text(change(tokenizer._content), "utf-8")
    with pytest.raises(TokenizerError, match=problem) as caught:
        Tokenizer.load(tmp_path)
    assert str(path) in caught.value.message and caught.value.hint


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(TokenizerError, match="No such file"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(TokenizerError, match="not UTF-8"):
        Tokenizer.load(tmp_path)


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    """GPT-2 as its files say it is: a split of its own, and no mask."""
    if not DATA.is_dir():
        pytest.skip("the GPT-2 vocabulary is not here")
    merges = [tuple(line.split(" ")) for line in (DATA / "gpt2/gpt2_merges.txt").read_text("utf-8").splitlines()]
    engine = Engine(models.BPE(json.loads((DATA / "gpt2/gpt2_vocab.json").read_text("utf-8")), merges))
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    engine.add_special_tokens([END])
    return Tokenizer(engine.to_str())


def vectors(name: str) -> list[tuple[str, list[int]]]:
    folder = DATA / "llama.cpp-vectors"
    texts = (folder / f"ggml-vocab-{name}.gguf.inp").read_bytes().decode("utf-8").split("\n__ggml_vocab_test__\n")
    rows = (folder / f"ggml-vocab-{name}.gguf.out").read_text("utf-8").split("\n")
    return [(text, [int(token) for token in row.split()]) for text, row in zip(texts, rows, strict=True)]


def test_another_tokenizer_gives_llama_cpps_tokens(gpt2):
    assert gpt2.vocab_size == 50_257 and gpt2.end == 50_256
    for text, tokens in vectors("gpt-2"):
        assert gpt2.encode(text) == tokens
        assert gpt2.decode(tokens) == text
    with pytest.raises(TokenizerError, match="no token `<mask>`"):
        _ = gpt2.mask


@pytest.mark.parametrize("encoder", ["gigatoken", "fastokens", "tokenizers"])
def test_other_encoders_give_llama_cpps_tokens_too(gpt2, encoder):
    if find_spec(encoder) is None:
        pytest.skip(f"{encoder} is not installed")
    other = Tokenizer(gpt2._content)
    other.use(encoder)
    assert (other.kind, other.is_lossless, other.encoder) == ("byte-level BPE", True, encoder)
    texts, expected = zip(*vectors("gpt-2"), strict=True)
    assert [tokens.tolist() for tokens in other.encode_batch(texts)] == list(expected)


def test_our_words_are_no_finer_than_llama_3s_tokens(tokenizer, gpt2):
    for text, tokens in vectors("llama-bpe"):
        words = tokenizer._engine.pre_tokenizer.pre_tokenize_str(text)
        assert len(words) <= len(tokens), text
