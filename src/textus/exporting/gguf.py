"""Write a model for llama.cpp, and read what such a file holds back as weights of ours.

llama.cpp's `qwen3` is our network: the same matrices under other names, rotary pairs half a head apart, so nothing has
to be permuted. Matrices are written in the type that is asked for, norms always as float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from textus import storage
from textus.checkpoint.checkpoint import GENERATION, Checkpoint
from textus.decoding.config import SamplingConfig, from_generation_config
from textus.errors import CheckpointError, ConfigError
from textus.exporting.extras import needed
from textus.exporting.template import chat_template
from textus.exporting.vocabulary import Vocabulary, vocabulary
from textus.exporting.whole import whole
from textus.model.config import ModelConfig
from textus.tokenizer.tokenizer import FILE as TOKENIZER

if TYPE_CHECKING:
    import gguf

Type = Literal["f32", "f16", "q8_0"]
ARCHITECTURE = "qwen3"
BLOCK = 32
"""q8_0 gives each run of so many numbers of a row a scale of its own."""
_LARGEST_HALF = 65504.0
_KINDS = {"normal": 1, "control": 3, "added": 4, "unused": 5}
_LAYER = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.output": "attn_output",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}
_OUTSIDE = {"embedding": "token_embd", "norm": "output_norm", "head": "output"}
_STEPS = {
    "hf": "penalties;dry;temperature;top_n_sigma;top_k;top_p;min_p;typ_p",
    "vllm": "penalties;dry;temperature;min_p;top_n_sigma;top_k;top_p;typ_p",
    "llamacpp": "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;temperature",
}
"""Our orders of the steps of sampling in llama.cpp's names."""


def check(opened: Checkpoint) -> None:
    """Refuse a model that llama.cpp would run as something else."""
    config = opened.config
    if config.family not in ("qwen3", "modernbert"):
        raise CheckpointError(
            f"{opened.directory}: has the parts of {config.family}, which are not written as GGUF yet",
            hint="convert it with llama.cpp's convert_hf_to_gguf.py",
        )
    if config.family != "qwen3" or (config.attention, config.prediction_offset) != ("causal", 1):
        raise CheckpointError(
            f"{opened.directory}: reads both ways, and GGUF is for models that write from left to right",
            hint="export it with --to onnx",
        )
    if config.attention_biases:
        raise CheckpointError(
            f"{opened.directory}: has biases in its attention, which llama.cpp's {ARCHITECTURE} has not",
            hint="export it with --to onnx",
        )
    _vocabulary(opened)


def write(opened: Checkpoint, path: Path, kind: Type) -> list[str]:
    """Write the file whole or not at all; return what the reader of it has to know."""
    check(opened)
    library = needed("gguf")
    words, sampling = _vocabulary(opened), _sampling(opened.directory)
    with whole(path) as partial, _closed(library.GGUFWriter(partial, ARCHITECTURE)) as writer:
        _describe(writer, opened, kind, library)
        _shape(writer, opened.config, library)
        _words(writer, words, chat_template(opened.directory))
        _sample(writer, sampling)
        left = _tensors(writer, opened, kind, library)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return _notes(opened, words, sampling, left)


def read(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Return the weights that a file holds, as float32 under our names: what llama.cpp computes with."""
    library = needed("gguf")
    with storage.refusals(path):
        tensors = {tensor.name: tensor for tensor in library.GGUFReader(path).tensors}
        state = {
            ours: torch.from_numpy(
                np.array(library.quants.dequantize(tensors[theirs].data, tensors[theirs].tensor_type), np.float32)
            )
            for ours, theirs in _names(config).items()
        }
    if config.tied_embeddings:
        state["head.weight"] = state["embedding.weight"]
    return state


@contextmanager
def _closed(writer: gguf.GGUFWriter) -> Iterator[gguf.GGUFWriter]:
    """Close the file, which a full disk refuses a second time."""
    try:
        yield writer
        writer.close()
    except BaseException:
        with suppress(OSError):
            writer.close()
        raise


def _names(config: ModelConfig) -> dict[str, str]:
    """Return their name of each tensor by ours; a tied head is not written twice."""
    layers = {
        f"blocks.{layer}.{ours}.weight": f"blk.{layer}.{theirs}.weight"
        for layer in range(config.num_layers)
        for ours, theirs in _LAYER.items()
    }
    outside = {ours: theirs for ours, theirs in _OUTSIDE.items() if not (ours == "head" and config.tied_embeddings)}
    return layers | {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in outside.items()}


def _vocabulary(opened: Checkpoint) -> Vocabulary:
    content = (opened.directory / TOKENIZER).read_text("utf-8")
    return vocabulary(content, opened.tokenizer.end, opened.config.vocab_size)


def _sampling(directory: Path) -> SamplingConfig | None:
    """Return how the model writes unless told otherwise, where its directory says so."""
    path = directory / GENERATION
    return from_generation_config(storage.read_json(path, CheckpointError), str(path)) if path.is_file() else None


def _describe(writer: gguf.GGUFWriter, opened: Checkpoint, kind: Type, library: Any) -> None:
    writer.add_type(library.GGUFType.MODEL)
    writer.add_name(opened.directory.resolve().name)
    writer.add_file_type(
        {
            "f32": library.LlamaFileType.ALL_F32,
            "f16": library.LlamaFileType.MOSTLY_F16,
            "q8_0": library.LlamaFileType.MOSTLY_Q8_0,
        }[kind]
    )
    writer.add_quantization_version(library.GGML_QUANT_VERSION)


def _shape(writer: gguf.GGUFWriter, config: ModelConfig, library: Any) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_theta)
    if config.rope_scaling == "none":
        writer.add_rope_scaling_type(library.RopeScalingType.NONE)
        return
    writer.add_rope_scaling_type(library.RopeScalingType(config.rope_scaling))
    writer.add_rope_scaling_factor(config.rope_factor)
    if config.rope_scaling == "yarn":  # how much sharper attention gets, llama.cpp computes from the factor as we do
        writer.add_rope_scaling_orig_ctx_len(config.rope_original_context)


def _words(writer: gguf.GGUFWriter, words: Vocabulary, template: str) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.rule)
    writer.add_token_list(words.tokens)
    writer.add_token_types([_KINDS[kind] for kind in words.kinds])
    writer.add_token_merges(words.merges)
    writer.add_bos_token_id(words.end)
    writer.add_eos_token_id(words.end)
    writer.add_pad_token_id(words.end)
    writer.add_add_bos_token(words.begins)
    writer.add_add_eos_token(False)
    if words.turn_end is not None:
        writer.add_eot_token_id(words.turn_end)
    if words.mask is not None:
        writer.add_mask_token_id(words.mask)
    if template:
        writer.add_chat_template(template)


def _sample(writer: gguf.GGUFWriter, sampling: SamplingConfig | None) -> None:
    if sampling is None:
        return
    writer.add_sampling_sequence(_STEPS[sampling.order])
    writer.add_sampling_temp(0.0 if sampling.is_greedy else sampling.temperature)
    writer.add_sampling_top_k(0 if sampling.top_k == "off" else sampling.top_k)
    writer.add_sampling_top_p(sampling.top_p)
    writer.add_sampling_min_p(sampling.min_p)
    writer.add_sampling_penalty_repeat(sampling.repetition_penalty)
    writer.add_sampling_penalty_last_n(-1 if sampling.repetition_window == "all" else sampling.repetition_window)


def _tensors(writer: gguf.GGUFWriter, opened: Checkpoint, kind: Type, library: Any) -> list[str]:
    """Add every tensor; return the names of those whose rows q8_0 cannot cut into blocks, which are written as f16."""
    state, left = opened.model.state_dict(), []
    types = {"f32": library.GGMLQuantizationType.F32, "f16": library.GGMLQuantizationType.F16}
    types["q8_0"] = library.GGMLQuantizationType.Q8_0
    for ours, theirs in _names(opened.config).items():
        values = state[ours].detach().float().cpu().numpy()
        wanted: Type = "f32" if values.ndim < 2 else kind
        if wanted == "q8_0" and values.shape[-1] % BLOCK:
            wanted = "f16"
            left.append(theirs)
        if wanted != "f32" and not np.abs(values).max() <= _LARGEST_HALF:
            raise ConfigError(
                f"{opened.directory}: {ours} holds a number that float16 cannot, which {kind} is made of",
                hint="export it with --type f32",
            )
        writer.add_tensor(theirs, library.quants.quantize(values, types[wanted]), raw_dtype=types[wanted])
    return left


def _notes(opened: Checkpoint, words: Vocabulary, sampling: SamplingConfig | None, left: list[str]) -> list[str]:
    notes = []
    if left:
        notes.append(
            f"{len(left)} matrices have rows that are no multiple of {BLOCK} numbers, and are written as f16 "
            f"({', '.join(left[:3])}{', ...' if len(left) > 3 else ''})"
        )
    if words.normalises:
        notes.append("the tokenizer rewrites text before it cuts it, and llama.cpp does not: give it text in NFC")
    if opened.config.reads_both_ways:
        notes.append("the model also reads both ways, which llama.cpp cannot let it do")
    if sampling is not None and (lacking := _lacking(sampling)):
        notes.append(f"sampling settings that a GGUF file cannot say are left out: {', '.join(lacking)}")
    return notes


def _lacking(sampling: SamplingConfig) -> list[str]:
    """Name the settings that differ from their defaults and that the file has no key for."""
    said = ("order", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "repetition_window")
    ours = ("max_tokens", "seed", "logprobs")  # of a request, not of a model
    default = SamplingConfig()
    return [
        name for name, value in vars(sampling).items() if name not in said + ours and value != getattr(default, name)
    ]
