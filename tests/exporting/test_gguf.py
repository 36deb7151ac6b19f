"""A GGUF file holds the model: read back by its own library, by arithmetic written out anew, and by llama.cpp."""

from __future__ import annotations

import json
import math
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from textus.decoding.config import SamplingConfig
from textus.errors import CheckpointError, ConfigError, ResourceError, TokenizerError
from textus.exporting import gguf
from textus.exporting.vocabulary import vocabulary
from textus.model.transformer import Transformer
from textus.tokenizer.content import SPECIAL_TOKENS

library = pytest.importorskip("gguf")

LLAMA_BPE = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The rule `llama-bpe` as llama.cpp's src/llama-vocab.cpp has it."""
KINDS = ["none", "linear", "yarn"]
SHAPES: dict[str, dict[str, Any]] = {
    "none": {},
    "linear": {"rope_scaling": "linear", "rope_factor": 2.0},
    "yarn": {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original_context": 8, "tied_embeddings": True},
}


class File:
    """What a file says and holds."""

    def __init__(self, path: Path) -> None:
        reader = library.GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items()}
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}

    def __getitem__(self, name: str) -> Any:
        return self.fields[name if "." in name and name in self.fields else f"qwen3.{name}"]

    def weight(self, name: str) -> torch.Tensor:
        tensor = self.tensors[f"{name}.weight"]
        return torch.from_numpy(unpacked(tensor.data, tensor.tensor_type.name))


def unpacked(data: np.ndarray, kind: str) -> np.ndarray:
    """ggml's formats as its documentation has them: q8_0 is, for 32 numbers, a half float and 32 signed bytes."""
    if kind != "Q8_0":
        return np.array(data, np.float32)
    blocks = data.reshape(-1, 34)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    numbers = blocks[:, 2:].copy().view(np.int8).astype(np.float32)
    return (scales * numbers).reshape(data.shape[0], -1)


def angles(file: File, time: int) -> tuple[torch.Tensor, torch.Tensor]:
    """ggml's `rope_yarn`: each pair turns by a mix of the scaled and the unscaled angle."""
    size, base = file["rope.dimension_count"], file["rope.freq_base"]
    kind, factor = file["rope.scaling.type"], file.fields.get("qwen3.rope.scaling.factor", 1.0)
    pairs = torch.arange(0, size, 2, dtype=torch.float64)
    plain = torch.outer(torch.arange(time, dtype=torch.float64), base ** (-pairs / size))
    if kind != "yarn":
        turned = plain / factor
        return turned.cos(), turned.sin()
    original = file["rope.scaling.original_context_length"]
    low, high = (size * math.log(original / (beta * 2 * math.pi)) / (2 * math.log(base)) for beta in (32.0, 1.0))
    low, high = max(0, math.floor(low)), min(size - 1, math.ceil(high))
    mix = 1 - ((pairs / 2 - low) / max(0.001, high - low)).clamp(0, 1)
    turned, sharper = plain / factor * (1 - mix) + plain * mix, 1 + 0.1 * math.log(factor)
    return turned.cos() * sharper, turned.sin() * sharper


def forward(file: File, tokens: torch.Tensor) -> torch.Tensor:
    """The `qwen3` of llama.cpp, from nothing but the file, in float64."""
    heads, kv_heads, size = file["attention.head_count"], file["attention.head_count_kv"], file["attention.key_length"]
    epsilon, time = file["attention.layer_norm_rms_epsilon"], len(tokens)
    cosine, sine = angles(file, time)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * file.weight(name).double()

    def times(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ file.weight(name).double().T

    def turned(x: torch.Tensor) -> torch.Tensor:  # "neox": a number and the one half a head further
        first, second = x[..., : size // 2], x[..., size // 2 :]
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)

    x = file.weight("token_embd").double()[tokens]
    for layer in range(file["block_count"]):
        at = f"blk.{layer}"
        y = norm(x, f"{at}.attn_norm")
        query, key, value = (
            times(y, f"{at}.attn_{part}").view(time, number, size).transpose(0, 1)
            for part, number in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        query, key = turned(norm(query, f"{at}.attn_q_norm")), turned(norm(key, f"{at}.attn_k_norm"))
        key, value = (part.repeat_interleave(heads // kv_heads, 0) for part in (key, value))
        scores = (query @ key.transpose(1, 2) / math.sqrt(size)).masked_fill(
            torch.ones(time, time).triu(1).bool(), -torch.inf
        )
        x = x + times((scores.softmax(-1) @ value).transpose(0, 1).reshape(time, -1), f"{at}.attn_output")
        y = norm(x, f"{at}.ffn_norm")
        gate = times(y, f"{at}.ffn_gate")
        x = x + times(gate * gate.sigmoid() * times(y, f"{at}.ffn_up"), f"{at}.ffn_down")
    last = "output" if "output.weight" in file.tensors else "token_embd"
    return times(norm(x, "output_norm"), last).log_softmax(-1)


def ours(network: Transformer, tokens: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(tokens[None]).logits[0].double().log_softmax(-1)


@pytest.fixture(scope="module", params=KINDS)
def scaling(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0"])
def test_arithmetic_written_out_anew_agrees(made: Any, rows: Any, tmp_path: Path, scaling: str, kind: Any) -> None:
    opened = made(**SHAPES[scaling])
    path = tmp_path / "a.gguf"
    assert gguf.write(opened, path, kind) == []
    held = Transformer(opened.config).eval()
    held.load_state_dict(gguf.read(path, opened.config))
    file = File(path)
    for row in rows:
        found = forward(file, row)
        assert (found - ours(held, row)).abs().max() < 1e-4
        assert (found - ours(opened.model, row)).abs().max() < {"f32": 1e-4, "f16": 0.03, "q8_0": 0.6}[kind]


def test_f32_is_the_model_to_the_last_bit(made: Any, tmp_path: Path, scaling: str) -> None:
    opened = made(**SHAPES[scaling])
    gguf.write(opened, tmp_path / "a.gguf", "f32")
    found, wanted = gguf.read(tmp_path / "a.gguf", opened.config), opened.model.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_q8_0_rounds_to_half_a_step_of_each_block(made: Any, tmp_path: Path) -> None:
    opened = made()
    gguf.write(opened, tmp_path / "a.gguf", "q8_0")
    found = gguf.read(tmp_path / "a.gguf", opened.config)
    for name, value in opened.model.state_dict().items():
        if value.dim() < 2:
            assert torch.equal(found[name], value)
            continue
        blocks = value.unflatten(-1, (-1, gguf.BLOCK))
        step = blocks.abs().amax(-1, keepdim=True) / 127
        # the step itself is rounded to a half float, and so 127 of them by as many
        assert ((found[name].unflatten(-1, (-1, gguf.BLOCK)) - blocks).abs() <= step * (0.5 + 127 * 2**-11)).all()


def test_rows_that_are_no_whole_blocks_are_written_as_f16(made: Any, tmp_path: Path) -> None:
    opened = made(intermediate_size=72)
    (note,) = gguf.write(opened, tmp_path / "a.gguf", "q8_0")
    assert note.startswith("2 matrices have rows that are no multiple of 32 numbers")
    kinds = {name: tensor.tensor_type.name for name, tensor in File(tmp_path / "a.gguf").tensors.items()}
    assert kinds["blk.0.ffn_down.weight"] == "F16"
    assert kinds["blk.0.ffn_up.weight"] == "Q8_0"
    assert kinds["blk.0.ffn_norm.weight"] == "F32"


def test_the_file_says_what_the_model_is(made: Any, tmp_path: Path) -> None:
    wanted = SamplingConfig(temperature=0.7, top_k="off", top_p=0.9, min_p=0.05, repetition_penalty=1.1, eta=2e-3)
    opened = made(wanted, **SHAPES["yarn"])
    (opened.directory / "chat_template.jinja").write_text("{{ messages }}")
    notes = gguf.write(opened, tmp_path / "a.gguf", "f16")
    assert notes == ["sampling settings that a GGUF file cannot say are left out: eta"]
    file = File(tmp_path / "a.gguf")
    assert file.fields["general.architecture"] == "qwen3"
    assert file.fields["tokenizer.ggml.model"] == "gpt2"
    assert file.fields["tokenizer.ggml.pre"] == "llama-bpe"
    assert file.fields["tokenizer.chat_template"] == "{{ messages }}"
    assert (file["context_length"], file["vocab_size"]) == (32, 336)
    ids = [file.fields[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos", "padding", "mask", "eot")]
    assert ids == [0, 0, 0, 1, 3]
    assert file.fields["tokenizer.ggml.add_bos_token"] is True
    assert file.fields["tokenizer.ggml.add_eos_token"] is False
    sampling = {name.removeprefix("general.sampling."): value for name, value in file.fields.items() if "samp" in name}
    assert sampling.pop("sequence") == "penalties;dry;temperature;top_n_sigma;top_k;top_p;min_p;typ_p"
    assert sampling == pytest.approx(
        {"temp": 0.7, "top_k": 0, "top_p": 0.9, "min_p": 0.05, "penalty_repeat": 1.1, "penalty_last_n": -1}
    )
    kinds = file.fields["tokenizer.ggml.token_type"]
    assert kinds[:4] == [3, 3, 3, 3]
    assert set(kinds[4:320]) == {1}
    assert set(kinds[320:]) == {5}
    assert file.fields["tokenizer.ggml.tokens"][335] == "[PAD335]"


@pytest.fixture(scope="module")
def rebuilt(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tokenizer made of nothing but what a file says, by the rule that it names."""
    path = tmp_path_factory.mktemp("rebuilt") / "a.gguf"
    gguf.write(made(), path, "f16")
    fields = File(path).fields
    assert fields["tokenizer.ggml.pre"] == "llama-bpe"
    normal = {
        name: token
        for token, name in enumerate(fields["tokenizer.ggml.tokens"])
        if fields["tokenizer.ggml.token_type"][token] == 1
    }
    pairs = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    engine = Tokenizer(models.BPE(normal, pairs, ignore_merges=True))
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA_BPE), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    engine.decoder = decoders.ByteLevel()
    return engine


TEXTS = [
    "Ça coûte 1 234,50 €, n'est-ce pas? L'été où j'ai vu Œdipe.",
    "İstanbul'da ÅNGSTRÖM naïve coöperate Ελλάδα Россия",
    "天地玄黃，宇宙洪荒。日月盈昃、辰宿列張 こんにちは 한국어",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 😀😃 a\u0301 e\u0308",
    "def f(x):\n\tif x != 0x1F:\n\t\treturn {'a': [1, 22, 333, 4444]}\r\n\r\n\n   # done   \n",
    "\x00\x01\x07\x1b[31mred\x1b[0m\x7f\u200b\ufeff\u00a0\u2028\u3000 end \t \n",
    "DON'T we'LL I'm He'D they'Re   ''''s",
    f"special {' '.join(SPECIAL_TOKENS)} tokens as text",
    "",
    " ",
    "\n",
    "x" * 3000,
]


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_the_same(rebuilt: Tokenizer, tokenizer: Any, text: str) -> None:
    assert rebuilt.encode(text).ids == tokenizer.encode(text)


@settings(max_examples=150)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="ſ"), max_size=40))
def test_tokens_of_any_text_are_the_same(rebuilt: Tokenizer, tokenizer: Any, text: str) -> None:
    assert rebuilt.encode(text).ids == tokenizer.encode(text)


def test_llama_cpp_agrees(made: Any, tokenizer: Any, rows: Any, tmp_path: Path, scaling: str) -> None:
    llama = pytest.importorskip("llama_cpp", reason="takes half an hour to build")
    opened, path = made(**SHAPES[scaling]), tmp_path / "a.gguf"
    gguf.write(opened, path, "f32")
    there = llama.Llama(str(path), n_ctx=32, n_threads=1, logits_all=True, type_k=0, type_v=0, verbose=False)
    for text in TEXTS:
        assert there.tokenize(text.encode(), add_bos=False, special=False) == tokenizer.encode(text), text
    for row in rows:
        there.reset()
        there.eval(row.tolist())
        found = torch.from_numpy(there.scores[: len(row)].copy()).double().log_softmax(-1)
        assert (found - ours(opened.model, row)).abs().max() < 1e-3


def known(path: Path, **changes: Any) -> str:
    values = json.loads(path.read_text())
    for name, value in changes.items():
        values[name] = value
    return json.dumps(values)


def test_rules_of_others_are_known_by_their_names(made: Any) -> None:
    path = made().directory / "tokenizer.json"
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = json.loads(path.read_text())["model"] | {"ignore_merges": False}
    assert vocabulary(known(path, pre_tokenizer=plain, model=model), 0, 336).rule == "gpt-2"
    cut = json.loads(path.read_text())["pre_tokenizer"]
    cut["pretokenizers"][0]["pattern"]["Regex"] = cut["pretokenizers"][0]["pattern"]["Regex"].replace("{1,3}", "")
    found = vocabulary(known(path, pre_tokenizer=cut, model=model, normalizer={"type": "NFC"}), 0, 336)
    assert (found.rule, found.normalises) == ("qwen2", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}},
    ],
    ids=["none", "whitespace", "a space before all"],
)
def test_rules_that_llama_cpp_does_not_know_are_refused(made: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(TokenizerError, match=r"a rule that llama\.cpp has no name for"):
        vocabulary(known(made().directory / "tokenizer.json", **changes), 0, 336)


def test_models_that_read_both_ways_are_refused(made: Any, tmp_path: Path) -> None:
    encoder = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
    for opened in (made(**encoder), made(attention="bidirectional")):
        with pytest.raises(CheckpointError, match="reads both ways") as refused:
            gguf.write(opened, tmp_path / "a.gguf", "f32")
        assert "--to onnx" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_no_half_float_holds_is_refused(made: Any, tmp_path: Path) -> None:
    opened = made()
    state = {name: value.clone() for name, value in opened.model.state_dict().items()}
    state["blocks.1.feed_forward.up.weight"][3, 3] = 1e6
    network = Transformer(opened.config).eval()
    network.load_state_dict(state)
    changed = replace(opened, model=network)
    for kind in ("f16", "q8_0"):
        with pytest.raises(ConfigError, match=r"feed_forward\.up\.weight holds a number that float16 cannot"):
            gguf.write(changed, tmp_path / "a.gguf", kind)
    assert list(tmp_path.iterdir()) == []
    gguf.write(changed, tmp_path / "a.gguf", "f32")


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN, "Python ignores it, and gets the error instead"
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("num_bytes", [100, 100_000])
def test_a_full_disk_is_told_and_leaves_nothing(made: Any, tmp_path: Path, num_bytes: int) -> None:
    with room_for(num_bytes), pytest.raises(ResourceError, match=r"a\.gguf: no space left"):
        gguf.write(made(), tmp_path / "a.gguf", "f32")
    assert list(tmp_path.iterdir()) == []
