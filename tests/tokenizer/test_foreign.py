"""Tokenizers as directories of other libraries hold them, with `tokenizers` and transformers as the oracles."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Engine

from textus.errors import TokenizerError
from textus.tokenizer.fast import samples
from textus.tokenizer.tokenizer import Tokenizer

DATA = Path(__file__).parents[2] / "../shared/data"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LEARNT = ["the cat sat on the mat, don't they? 1234 Größe 你好 🦙\n\tdef f(x):\n" * 30]


def byte_level(special: list[str], split: str = "") -> Engine:
    engine = Engine(models.BPE())
    if split:
        cut = pre_tokenizers.Split(Regex(split), "isolated")
        engine.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    else:
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    engine.train_from_iterator(LEARNT, trainer)
    engine.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    return engine


def gpt2() -> tuple[Engine, dict[str, Any]]:
    engine = byte_level(["<|endoftext|>"])
    engine.post_processor = processors.ByteLevel(trim_offsets=False)
    return engine, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}


def llama3() -> tuple[Engine, dict[str, Any]]:
    engine = byte_level(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], LLAMA3)
    begin = "<|begin_of_text|>"
    engine.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, engine.token_to_id(begin))]
            ),
        ]
    )
    return engine, {"bos_token": begin, "eos_token": "<|eot_id|>", "chat_template": "{{ messages }}"}


def llama2() -> tuple[Engine, dict[str, Any]]:
    names = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"theca sotnmdf",
        "▁t",
        "he",
        "▁the",
    ]
    vocabulary = {name: token for token, name in enumerate(dict.fromkeys(names))}
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    engine = Engine(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    engine.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    engine.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    engine.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    engine.add_special_tokens(names[:3])
    return engine, {
        "bos_token": {"__type": "AddedToken", "content": "<s>"},
        "eos_token": {"__type": "AddedToken", "content": "</s>"},
    }


def bert() -> tuple[Engine, dict[str, Any]]:
    engine = Engine(models.WordPiece(unk_token="[UNK]"))
    engine.normalizer, engine.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    engine.train_from_iterator(
        LEARNT, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    engine.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return engine, {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def unigram() -> tuple[Engine, dict[str, Any]]:
    engine = Engine(models.Unigram())
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    engine.train_from_iterator(LEARNT, trainer)
    engine.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return engine, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


KINDS: dict[str, Callable[[], tuple[Engine, dict[str, Any]]]] = {
    "gpt2": gpt2,
    "llama3": llama3,
    "llama2": llama2,
    "bert": bert,
    "unigram": unigram,
}
EXPECTED = {
    "gpt2": ("<|endoftext|>", "<|endoftext|>", ()),
    "llama3": ("<|begin_of_text|>", "<|end_of_text|>", ("<|eot_id|>",)),
    "llama2": ("<s>", "</s>", ()),
    "bert": ("[CLS]", "[SEP]", ()),
    "unigram": ("</s>", "</s>", ()),
}


def written(folder: Path, engine: Engine, values: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(engine.to_str(), "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(values), "utf-8")
    return folder


@pytest.fixture(scope="module", params=KINDS)
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Engine, Path]:
    engine, values = KINDS[request.param]()
    folder = written(tmp_path_factory.mktemp("theirs") / request.param, engine, values)
    return request.param, Engine.from_file(str(folder / "tokenizer.json")), folder


def test_tokens_are_theirs_and_come_back(theirs: tuple[str, Engine, Path]) -> None:
    kind, engine, folder = theirs
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.is_lossless == (kind in ("gpt2", "llama3"))
    named = [entry.content for entry in engine.get_added_tokens_decoder().values()]
    for text in samples():
        if any(name in text for name in named):
            continue  # in a text it is a token to them, and text to us
        tokens = engine.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text) == tokens
        if tokenizer.is_lossless:
            assert tokenizer.decode(tokens) == text


@settings(max_examples=30)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_cut_as_they_cut_it(theirs: tuple[str, Engine, Path], text: str) -> None:
    _, engine, folder = theirs
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.encode(text) == engine.encode(text, add_special_tokens=False).ids
    if tokenizer.is_lossless:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_what_begins_and_ends_a_text_is_known(theirs: tuple[str, Engine, Path]) -> None:
    kind, engine, folder = theirs
    tokenizer = Tokenizer.load(folder)
    begin, end, stops = EXPECTED[kind]
    assert (tokenizer.begin, tokenizer.end) == (engine.token_to_id(begin), engine.token_to_id(end))
    assert tokenizer.stops == tuple(map(engine.token_to_id, stops))
    around = engine.encode("the").ids
    framed = tokenizer.frame(tokenizer.encode("the"))
    assert framed == (around if kind != "gpt2" and kind != "unigram" else [tokenizer.begin, *around])


def test_saved_it_says_the_same_to_us_and_to_transformers(theirs: tuple[str, Engine, Path], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    kind, engine, folder = theirs
    tokenizer = Tokenizer.load(folder)
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    for name in ("fingerprint", "begin", "end", "stops", "padding", "special"):
        assert getattr(again, name) == getattr(tokenizer, name)
    values = json.loads((folder / "tokenizer_config.json").read_text())
    assert values.items() <= json.loads((tmp_path / "tokenizer_config.json").read_text()).items()
    opened = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert opened("the cat").input_ids == engine.encode("the cat").ids
    assert (opened.chat_template is None) == (kind != "llama3")


def test_several_ends_of_generation_are_kept(tmp_path: Path) -> None:
    folder = written(tmp_path / "one", *llama3())
    ends = [Tokenizer.load(folder).end, Tokenizer.load(folder).stops[0], 5, 99_999, True]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    (folder / "chat_template.jinja").write_text("{{ bos_token }}")
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.stops == (ends[1], 5), "what the vocabulary lacks is no token"
    (tmp_path / "two").mkdir()
    tokenizer.save(tmp_path / "two")
    assert Tokenizer.load(tmp_path / "two").stops == tokenizer.stops
    assert (tmp_path / "two" / "chat_template.jinja").read_text() == "{{ bos_token }}"


@pytest.mark.parametrize(("bos", "eos"), [(True, True), (False, False), (True, False)])
def test_settings_say_what_stands_around_a_text(bos: bool, eos: bool, tmp_path: Path) -> None:
    engine, values = llama2()
    tokenizer = Tokenizer.load(written(tmp_path, engine, {**values, "add_bos_token": bos, "add_eos_token": eos}))
    assert tokenizer.frame([7]) == [1 if bos else 2, 7, *([2] if eos else [])]


def test_older_names_of_special_tokens_are_read(tmp_path: Path) -> None:
    folder = written(tmp_path, byte_level(["<end>", "<fill>"]), {})
    (folder / "special_tokens_map.json").write_text('{"eos_token": {"content": "<end>"}, "pad_token": "<fill>"}')
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.token_text(tokenizer.end) == tokenizer.token_text(tokenizer.begin) == "<end>"
    assert tokenizer.token_text(tokenizer.padding) == "<fill>"


@pytest.mark.skipif(not (DATA / "tokenizers/gpt2").is_dir(), reason="the shared data is not here")
def test_the_real_gpt2_is_made_of_its_two_files(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(DATA / "tokenizers/gpt2" / f"gpt2_{name}", tmp_path / name)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.is_lossless) == (50257, True)
    assert tokenizer.encode("Hello world") == [15496, 995]
    assert tokenizer.token_text(tokenizer.end) == "<|endoftext|>"
    other = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    for text in samples():
        if "<|endoftext|>" not in text:
            assert tokenizer.encode(text) == other(text).input_ids
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_qwen2_is_made_of_its_files_with_the_tokens_behind_them(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = json.loads(byte_level([]).to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]))
    size = len(model["vocab"])
    added = {
        str(size): {"content": "<|endoftext|>", "special": True},
        str(size + 1): {"content": "<|im_end|>", "special": True},
    }
    values = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "added_tokens_decoder": added}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(values))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.end, tokenizer.begin, tokenizer.stops) == (size, size, (size + 1,))
    other = transformers.Qwen2Tokenizer.from_pretrained(tmp_path)
    for text in samples():
        if "<" not in text:
            assert tokenizer.encode(text) == other(text).input_ids
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({**values, "added_tokens_decoder": {"9": added[str(size)]}})
    )
    with pytest.raises(TokenizerError, match=rf"is said to be 9, and comes to be {size}"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("lower", [True, False])
def test_bert_is_made_of_its_vocabulary(lower: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vocabulary = bert()[0].get_vocab()
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n", "utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    tokenizer = Tokenizer.load(tmp_path)
    other = transformers.BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=lower)
    for text in samples():
        if "[" not in text:
            assert tokenizer.frame(tokenizer.encode(text)) == other(text).input_ids


def test_llama2_c_keeps_scores(tmp_path: Path) -> None:
    pieces = [
        "<unk>",
        "\n<s>\n",
        "\n</s>\n",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        " ",
        *"theca",
        " t",
        "he",
        " the",
    ]
    scores = [0.0] * 265 + [-1.0, -2.0, -3.0]
    data = struct.pack("<i", 6)
    for piece, score in zip(pieces, scores, strict=True):
        data += struct.pack("<fi", score, len(piece.encode())) + piece.encode()
    (tmp_path / "tokenizer.bin").write_bytes(data)
    tokenizer = Tokenizer.load(tmp_path)
    assert [tokenizer.token_text(token) for token in tokenizer.encode("the cheé")] == [
        " the",
        " ",
        "c",
        "he",
        "\\xc3",
        "\\xa9",
    ]
    assert tokenizer.decode(tokenizer.encode("the cheé\n")) == "the cheé\n"
    assert (tokenizer.begin, tokenizer.end) == (1, 2)
    (tmp_path / "tokenizer.bin").write_bytes(data[:-2])
    with pytest.raises(TokenizerError, match="no whole tokenizer of llama2"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "tokenizer.json: No such file"),
        ({"tokenizer.model": ""}, "its tokenizer is SentencePiece's .tokenizer.model."),
        ({"tokenizer.json": "version https://git-lfs.github.com/spec/v1\n"}, "tokenizer.json: a pointer of git-lfs"),
        ({"vocab.json": "{}", "merges.txt": ""}, "do not say how text is cut"),
        ({"vocab.json": "{", "merges.txt": "", "config.json": '{"model_type": "gpt2"}'}, "vocab.json: damaged"),
        (
            {"vocab.json": "{}", "merges.txt": "a b", "config.json": '{"model_type": "gpt2"}'},
            "vocab.json and merges.txt:",
        ),
        ({"vocab.txt": "a\nb\n"}, "vocab.txt: lacks .UNK."),
        ({"tokenizer_config.json": "[]"}, "tokenizer_config.json: not a JSON object"),
        ({"tokenizer_config.json": '{"auto_map": {"AutoTokenizer": ["x", null]}}'}, "asks for Python code"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(files: dict[str, str], words: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(TokenizerError, match=words) as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.hint and caught.value.message.count(str(tmp_path)) == 1
