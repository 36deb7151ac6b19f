"""Models of transformers' own classes, opened here and written again, with transformers as the oracle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.checkpoint.checkpoint import load_model, read_config, write_model
from textus.checkpoint.families import LAYOUTS, from_config, from_weights, to_config, to_weights, weight_names
from textus.decoding.engine.engine import Engine
from textus.errors import CheckpointError, ConfigError
from textus.model.attention import attend
from textus.model.config import ModelConfig
from textus.model.leak import check_leaks
from textus.model.transformer import Transformer
from textus.objectives.causal import labelled_loss
from textus.objectives.objective import Batch
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.tokenizer import Tokenizer

PATH = Path("config.json")
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
Saved = tuple[str, Any, Path]
SHAPE = ModelConfig(
    vocab_size=30,
    context_length=16,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=1,
    head_size=8,
    intermediate_size=24,
)


def tokens(rows: int = 2, time: int = 30, vocabulary: int = 60) -> torch.Tensor:
    return torch.randint(vocabulary, (rows, time), generator=torch.Generator().manual_seed(time))


def agree(mine: Transformer, other: Any, read: torch.Tensor) -> None:
    with torch.inference_mode():
        wanted = other(read).logits
        assert wanted.std() > 0.2, "logits near zero would agree by chance"
        torch.testing.assert_close(mine(read).logits, wanted, rtol=1e-4, atol=1e-4)


def test_logits_are_those_of_transformers(saved: Saved) -> None:
    family, other, directory = saved
    model = load_model(directory)
    assert model.config.family == family
    assert other.num_parameters() == model.config.num_parameters() == sum(p.numel() for p in model.parameters())
    for time in (1, 4, 30):
        agree(model, other, tokens(time=time))


def test_reading_on_from_a_cache_is_reading_in_one_go(saved: Saved) -> None:
    model = load_model(saved[2])
    if model.config.attention != "causal":
        pytest.skip("an encoder reads in one go only")
    read = tokens(time=24)
    cuts = [read[:, :7], *read[:, 7:12].split(1, 1), read[:, 12:22], *read[:, 22:].split(1, 1)]
    cache = model.new_cache(2)
    with torch.inference_mode():
        parts = torch.cat([model(part, cache=cache).logits for part in cuts], 1)
        torch.testing.assert_close(parts, model(read).logits, rtol=1e-4, atol=1e-4)


@settings(max_examples=4)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=3), st.booleans())
def test_packed_documents_are_read_as_if_alone(saved: Saved, lengths: list[int], training: bool) -> None:
    model = load_model(saved[2])
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    read = tokens(1, sum(lengths))
    with torch.set_grad_enabled(training):
        packed = model(read, documents).logits[0].split(lengths)
        for part, alone in zip(packed, read[0].split(lengths), strict=True):
            torch.testing.assert_close(part, model(alone[None]).logits[0], rtol=1e-4, atol=1e-4)


class Whole:
    """All tokens are one text, of which nothing is kept."""

    def attend(self, layer: int, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return attend(query, keys, values, None, causal=True)


def test_texts_that_are_written_together_are_read_as_alone(saved: Saved, tokenizer: Tokenizer) -> None:
    model = load_model(saved[2])
    if model.config.attention != "causal":
        pytest.skip("an encoder does not write")
    if model.config.hides_what_is_far:
        with pytest.raises(ConfigError, match=rf"see {model.config.window} positions of 32"):
            Engine(model, tokenizer)
        return
    read, places = tokens(1, 9), torch.arange(9)
    with torch.inference_mode():
        found = model.encode_at(read[0], places, Whole())
        torch.testing.assert_close(found, model.encode(read)[0], rtol=1e-4, atol=1e-4)


def test_it_sees_what_it_may_see(saved: Saved) -> None:
    check_leaks(load_model(saved[2]))


def test_the_loss_and_its_gradients_are_those_of_the_logits(saved: Saved) -> None:
    model = load_model(saved[2])
    read, labels = tokens(time=20), tokens(time=20).flip(1)
    labels[:, ::3] = -100
    labelled_loss(model, Batch.of(read, labels, None)).total.backward()
    found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    assert set(found) == set(dict(model.named_parameters()))
    model.zero_grad()
    functional.cross_entropy(model(read).logits.flatten(0, 1), labels.flatten(), reduction="sum").backward()
    for name, value in model.named_parameters():
        torch.testing.assert_close(found[name], value.grad, rtol=1e-3, atol=2e-4, msg=name)


def test_every_parameter_has_a_role_and_biases_begin_at_nothing(saved: Saved) -> None:
    model = Transformer(load_model(saved[2]).config)
    roles = model.parameter_roles()
    for name, value in model.named_parameters():
        assert (roles[name] == "norm") == (value.dim() == 1)
        assert not name.endswith("bias") or not value.any()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    return Tokenizer(trained({name: token for token, name in enumerate(names)}, []))


def test_written_again_it_is_a_directory_of_its_family(
    saved: Saved, tmp_path: Path, tokenizer: Tokenizer, their_model: Callable[..., Any]
) -> None:
    transformers = pytest.importorskip("transformers")
    family, _, _ = saved
    their_model(family, vocab_size=260).save_pretrained(tmp_path / "old")
    model = load_model(tmp_path / "old")
    (tmp_path / "new").mkdir()
    write_model(tmp_path / "new", model, tokenizer, {})
    assert load_model(tmp_path / "new").config == model.config
    kind = (
        transformers.AutoModelForCausalLM if model.config.attention == "causal" else transformers.AutoModelForMaskedLM
    )
    other, info = kind.from_pretrained(tmp_path / "new", output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(other).__name__ == LAYOUTS[model.config.family].architectures[0]
    agree(model, other.eval(), tokens(vocabulary=260))


UNUSUAL: dict[str, tuple[str, dict[str, Any]]] = {
    "a Llama with a tied head": ("llama", {"tie_word_embeddings": True, "rope_parameters": None}),
    "a Llama with as many keys as heads": ("llama", {"num_key_value_heads": 4, "head_dim": 10}),
    "a Llama with yarn": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 8,
            }
        },
    ),
    "a Mistral that sees everything": ("mistral", {"sliding_window": None, "tie_word_embeddings": True}),
    "a Mistral with a window as long as its context": ("mistral", {"sliding_window": 32}),
    "a Qwen2 that sees everything": ("qwen2", {"use_sliding_window": False, "tie_word_embeddings": True}),
    "a GPT-2 with a head of its own": ("gpt2", {"tie_word_embeddings": False, "n_inner": 20}),
    "a BERT of three kinds of token": ("bert", {"type_vocab_size": 3, "intermediate_size": 30}),
    "a ModernBERT of two layers": ("modernbert", {"num_hidden_layers": 2, "local_attention": 5}),
    "a ModernBERT without a bias": ("modernbert", {"decoder_bias": False, "tie_word_embeddings": False}),
    "a ModernBERT that sees everything": ("modernbert", {"layer_types": ["full_attention"] * 3}),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_ones_are_read_too(case: str, tmp_path: Path, their_model: Callable[..., Any]) -> None:
    family, changes = UNUSUAL[case]
    other = their_model(family, **changes)
    other.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert model.config.num_parameters() == other.num_parameters()
    agree(model, other, tokens())
    written = to_config(model.config, ENDS, "float32")
    assert from_config(json.loads(json.dumps(written)), PATH) == model.config
    named = to_weights(model.state_dict(), model.config)
    state, left = from_weights(named, model.config, PATH)
    assert not left and all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@settings(max_examples=6)
@given(
    family=st.sampled_from(sorted(LAYOUTS)),
    layers=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 4]),
    width=st.sampled_from([8, 16]),
    tied=st.booleans(),
)
def test_logits_agree_for_any_shape(
    tmp_path_factory: pytest.TempPathFactory,
    their_model: Callable[..., Any],
    family: str,
    layers: int,
    heads: int,
    width: int,
    tied: bool,
) -> None:
    size = heads * width
    if family == "gpt2":
        shape = {"n_embd": size, "n_layer": layers, "n_head": heads}
    else:
        shape = {"hidden_size": size, "num_hidden_layers": layers, "num_attention_heads": heads}
        shape |= {} if "bert" in family else {"num_key_value_heads": 1, "head_dim": width}
    other = their_model(family, tie_word_embeddings=tied or family == "bert", **shape)
    directory = tmp_path_factory.mktemp("shape")
    other.save_pretrained(directory)
    agree(load_model(directory), other, tokens(time=17))


def test_older_writers_are_understood(tmp_path: Path, their_model: Callable[..., Any]) -> None:
    from safetensors.torch import load_file, save_file

    def rewritten(family: str, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], drop: str) -> None:
        other, directory = their_model(family), tmp_path / family
        other.save_pretrained(directory)
        save_file(change(load_file(directory / "model.safetensors")), directory / "model.safetensors")
        values = json.loads((directory / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps({name: v for name, v in values.items() if name not in drop}))
        agree(load_model(directory), other, tokens())

    def first_bert(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        named = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in weights.items()
        }
        pooled = {"bert.pooler.dense.weight": torch.zeros(24, 24), "cls.seq_relationship.bias": torch.zeros(2)}
        return {**named, **pooled, "bert.embeddings.position_ids": torch.arange(32)}

    def bare(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        named = {name.removeprefix("transformer."): value for name, value in weights.items()}
        return {**named, "h.0.attn.bias": torch.ones(1, 1, 32, 32), "lm_head.weight": named["wte.weight"].clone()}

    rewritten("bert", first_bert, "tie_word_embeddings position_embedding_type layer_norm_eps")
    rewritten("gpt2", bare, "tie_word_embeddings n_inner scale_attn_weights add_cross_attention")


def test_the_positions_of_older_configs_are_understood(tmp_path: Path, their_model: Callable[..., Any]) -> None:
    other = their_model("llama")
    other.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    turned = values.pop("rope_parameters")
    values |= {"rope_theta": turned.pop("rope_theta"), "rope_scaling": turned, "head_dim": None}
    del values["tie_word_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    agree(load_model(tmp_path), other, tokens())


def test_attention_has_biases_where_its_config_says_so(tmp_path: Path, their_model: Callable[..., Any]) -> None:
    for family, has_biases in (("qwen3", True), ("llama", False)):
        other = their_model(family, attention_bias=has_biases)
        other.save_pretrained(tmp_path / family)
        model = load_model(tmp_path / family)
        assert model.config.attention_biases is has_biases
        assert other.num_parameters() == model.config.num_parameters()
        agree(model, other, tokens())


def test_half_precision_is_read_as_float32(tmp_path: Path, their_model: Callable[..., Any]) -> None:
    their_model("qwen2").to(torch.bfloat16).save_pretrained(tmp_path)
    assert {value.dtype for value in load_model(tmp_path).parameters()} == {torch.float32}
    assert {value.dtype for value in load_model(tmp_path, dtype=torch.bfloat16).parameters()} == {torch.bfloat16}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"architectures": ["MambaForCausalLM"]}, "holds MambaForCausalLM, which is not read"),
    ("llama", {"architectures": None, "model_type": "t5"}, "holds t5, which is not read"),
    ("llama", {"architectures": None, "model_type": None}, "holds no architecture"),
    ("llama", {"auto_map": {"AutoModel": "modeling.Mine"}}, "asks for Python code that comes with the model"),
    ("llama", {"hidden_act": "gelu"}, "asks for hidden_act=gelu"),
    ("llama", {"mlp_bias": True}, "asks for mlp_bias=True"),
    ("mistral", {"attention_bias": True}, "asks for attention_bias=True"),
    ("bert", {"architectures": ["BertModel"]}, "holds BertModel, a BERT without the part that predicts tokens"),
    ("gpt2", {"architectures": ["GPT2Model"]}, "holds GPT2Model, a GPT-2 without the part that predicts tokens"),
    ("llama", {"quantization_config": {"bits": 4}}, "asks for quantization_config"),
    ("llama", {"rope_scaling": {"rope_type": "longrope"}}, "asks for rope_type=longrope"),
    ("llama", {"rope_scaling": {"rope_type": "llama3", "low_freq_factor": 2.0}}, "asks for low_freq_factor=2.0"),
    ("llama", {"rope_scaling": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5"),
    ("llama", {"residual_multiplier": 0.22}, "residual_multiplier=0.22 is nothing that is known of a Llama model"),
    ("llama", {"num_hidden_layers": "two"}, "num_layers"),
    ("llama", {"num_key_value_heads": 7}, "cannot share"),
    ("llama", {"hidden_size": None}, "lacks hidden_size"),
    ("qwen2", {"layer_types": ["sliding_attention", "full_attention", "full_attention"]}, "layer_types that alternate"),
    ("qwen3", {"use_sliding_window": True}, "asks for use_sliding_window=True"),
    ("qwen3", {"head_dim": None}, "lacks head_dim"),
    ("gpt2", {"activation_function": "relu"}, "asks for activation_function=relu"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ("gpt2", {"n_head": 7}, "GPT-2 shape cannot have"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type=relative_key"),
    ("bert", {"is_decoder": True}, "is_decoder=True"),
    ("bert", {"tie_word_embeddings": False}, "tie_word_embeddings=False"),
    ("modernbert", {"norm_bias": True}, "norm_bias=True"),
    ("modernbert", {"layer_types": ["full_attention", "full_attention", "sliding_attention"]}, "no regular order"),
]


@pytest.mark.parametrize(("family", "changes", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_is_not_read_is_named(
    family: str, changes: dict[str, Any], words: str, their_model: Callable[..., Any]
) -> None:
    values = their_model(family).config.to_dict()
    values["architectures"] = [LAYOUTS[family].architectures[0]]  # type: ignore[index]
    assert from_config(values, PATH).family == family
    with pytest.raises(CheckpointError, match=words) as caught:
        from_config(values | changes, PATH)
    assert caught.value.hint and str(caught.value).startswith("config.json: ")


def test_missing_and_superfluous_weights_are_named() -> None:
    theirs = to_weights(Transformer(SHAPE).state_dict(), SHAPE)
    with pytest.raises(CheckpointError, match=r"lacks model.norm.weight"):
        from_weights({name: value for name, value in theirs.items() if name != "model.norm.weight"}, SHAPE, PATH)
    with pytest.raises(CheckpointError, match="holds unknown extra"):
        from_weights(theirs | {"extra": torch.zeros(1)}, SHAPE, PATH)
    _, left = from_weights(theirs | {"lm_head.weight": torch.zeros(1)}, SHAPE, PATH)
    assert left == ["lm_head.weight"]


def test_names_of_weights_are_told_one_by_one() -> None:
    named = weight_names(SHAPE)
    assert named["blocks.1.feed_forward.up.weight"] == "model.layers.1.mlp.up_proj.weight"
    assert set(named.values()) == {*to_weights(Transformer(SHAPE).state_dict(), SHAPE), "lm_head.weight"}


@given(
    st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from(["causal", "bidirectional"]), st.floats(1, 1e6)
)
def test_a_config_of_ours_there_and_back(layers: int, width: int, tied: bool, attention: Any, theta: float) -> None:
    config = ModelConfig(
        vocab_size=30,
        context_length=16,
        num_layers=layers,
        hidden_size=width,
        num_heads=4,
        num_kv_heads=2,
        head_size=8,
        intermediate_size=width,
        rope_theta=theta,
        tied_embeddings=tied,
        attention=attention,
        dropout=0.1,
    )
    assert from_config(to_config(config, ENDS, "float32"), PATH) == config


@pytest.mark.parametrize(("family", "loses"), [("bert", "layer"), ("gpt2", "h")])
def test_a_directory_with_too_few_layers_is_refused(
    family: str, loses: str, tmp_path: Path, their_model: Callable[..., Any]
) -> None:
    their_model(family).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    key = "n_layer" if family == "gpt2" else "num_hidden_layers"
    (tmp_path / "config.json").write_text(json.dumps(values | {key: 2}))
    with pytest.raises(CheckpointError, match=rf"holds unknown .*{loses}\.2\."):
        load_model(tmp_path)


def test_the_shape_alone_needs_no_weights(saved: Saved, tmp_path: Path) -> None:
    shutil.copy(saved[2] / "config.json", tmp_path)
    assert read_config(tmp_path) == load_model(saved[2]).config
