"""How a family is written down by transformers: the keys of its config, the names of its weights, and what is refused.

A `Layout` is one family's description; the functions here read and write any of them. Whatever stands in a config is
either a field of ours, or always so, or known to change nothing that a trained model computes, or refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textus.config import build
from textus.errors import CheckpointError, ConfigError
from textus.model.config import ModelConfig
from textus.model.family import TRAITS, Family

OURS = "textus"
"""Key in config.json of what only we know; other libraries carry it along."""
_BELONG = "restore the config.json that belongs to the weights"
_NOTES = frozenset({
    "architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "_name_or_path",
    "name_or_path", "use_cache", "return_dict", "initializer_range", "initializer_cutoff_factor",
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "cls_token_id", "sep_token_id",
    "mask_token_id", "decoder_start_token_id", "tokenizer_class", "id2label", "label2id", "problem_type",
    "finetuning_task", "task_specific_params", "output_hidden_states", "output_attentions", "torchscript",
    "gradient_checkpointing", "pretraining_tp", "max_length", "max_new_tokens", "min_length", "do_sample",
    "num_beams", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
    "no_repeat_ngram_size", "num_return_sequences", "diversity_penalty", "num_beam_groups", "early_stopping",
    "attn_implementation", "_attn_implementation", "_attn_implementation_autoset", "transformers.js_config",
    "is_llama_config", "unsloth_version", "unsloth_fixed", "num_labels", "_num_labels", "output_past",
    "max_sequence_length", "return_dict_in_generate", "output_scores", "remove_invalid_values",
})  # fmt: skip
"""Keys that any config may have, and that change nothing of what a trained model computes."""


@dataclass(frozen=True)
class Layout:
    """One family, as transformers writes it."""

    family: Family
    architectures: tuple[str, ...]
    """The first is written, all are read."""
    model_type: str
    fields: Mapping[str, str]
    """Their key for each of our fields that is one value of theirs."""
    always: Mapping[str, tuple[Any, ...]]
    """What a model of this family does here, by their keys: the first is written and meant where nothing is said, the
    others mean the same, and what is not among them is refused."""
    read: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Return our other fields."""
    write: Callable[[ModelConfig], dict[str, Any]]
    """Return their other keys."""
    layers: str
    """What the names of a block's weights begin with, before its number."""
    layer: Mapping[str, tuple[str, ...]]
    """Their modules in a block, and which of ours each is made of, laid below each other."""
    outside: Mapping[str, tuple[str, ...]]
    """The same for modules outside the blocks."""
    base: str
    """What all names lack that were written without the head."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What other keys mean where they are left out."""
    refused: Callable[[Mapping[str, Any]], Mapping[str, bool]] = lambda values: {}
    """Tell of what a config asks whether it is something that we do not do."""
    training: frozenset[str] = frozenset()
    """Keys that matter in training alone; they are left out."""
    notes: frozenset[str] = frozenset()
    """Further keys that change nothing."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Weights whose names follow no rule: theirs by what the rule would say."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Expressions for parts of names that others use, and what they are to be."""
    is_transposed: bool = False
    """Whether a block's matrices are written with inputs as rows."""
    spare: str = ""
    """An expression for weights that are left out."""


def config_from(layout: Layout, values: Mapping[str, Any], path: Path) -> ModelConfig:
    """Read a config of a layout; raise `CheckpointError` naming `path` and the key for what we do not do."""
    given = {**layout.defaults, **{key: value for key, value in values.items() if value is not None}}
    _refuse(layout, given, path)
    return _shape(layout, given, path)


def config_to(layout: Layout, config: ModelConfig, tokens: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Write a config as transformers reads it; `tokens` are the ids that begin, end and pad a text."""
    ours = {"dropout": config.dropout}
    if not TRAITS[layout.family].is_encoder:
        reading = ("attention", "prediction_offset", "reads_both_ways")
        ours = {**{name: getattr(config, name) for name in reading}, **ours}
    return {
        "architectures": [layout.architectures[0]],
        "model_type": layout.model_type,
        "dtype": dtype,
        **{theirs: getattr(config, name) for name, theirs in layout.fields.items()},
        **{key: meant[0] for key, meant in layout.always.items()},
        **layout.write(config),
        **tokens,
        OURS: ours,
    }


def left_out(layout: Layout, values: Mapping[str, Any]) -> list[str]:
    """Name the settings of a config that are for training only, and so not taken over."""
    return [f"{key}={values[key]}" for key in sorted(layout.training) if values.get(key)]


def weights_to(
    layout: Layout, state: Mapping[str, Tensor], config: ModelConfig, *, body_only: bool = False
) -> dict[str, Tensor]:
    """Rename, join and turn our weights; a tied head is not written twice. `body_only`: without the head's parts."""
    written = {}
    for theirs, ours in names(layout, config, state, body_only=body_only).items():
        if ours == ("head.weight",) and config.tied_embeddings:
            continue
        whole = torch.cat([state[name] for name in ours]) if len(ours) > 1 else state[ours[0]]
        written[theirs] = (whole.t() if _turns(layout, theirs, whole) else whole).contiguous()
    return written


def weights_from(
    layout: Layout,
    weights: Mapping[str, Tensor],
    config: ModelConfig,
    ours: Iterable[str],
    path: Path,
    *,
    body_only: bool = False,
) -> tuple[dict[str, Tensor], list[str]]:
    """Return `weights` by `ours`, the names of our parameters, and the names of those that were left out.

    Raises `CheckpointError` naming `path` where one is missing or not ours to read.
    """
    weights = _usual_names(layout, weights)
    wanted = names(layout, config, ours, body_only=body_only)
    left = sorted(name for name in set(weights) - set(wanted) if _is_spare(layout, name, config))
    _check_names(set(wanted) - set(weights), set(weights) - set(wanted) - set(left), path)
    state: dict[str, Tensor] = {}
    for theirs, parts in wanted.items():
        whole = weights[theirs]
        if _turns(layout, theirs, whole):
            whole = whole.t().contiguous()
        state |= zip(parts, whole.chunk(len(parts)), strict=True)
    if config.tied_embeddings:
        state["head.weight"] = state["embedding.weight"]
    return state, left


def names(
    layout: Layout, config: ModelConfig, ours: Iterable[str], *, body_only: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return which of our parameters make up each of theirs, as far as there are any."""
    there = set(ours)
    modules = {
        theirs: parts for theirs, parts in layout.outside.items() if theirs.startswith(layout.base) or not body_only
    }
    for number in range(config.num_layers):
        modules |= {
            f"{layout.layers}{number}.{theirs}": tuple(f"blocks.{number}.{name}" for name in parts)
            for theirs, parts in layout.layer.items()
        }
    found = {
        f"{theirs}.{kind}": tuple(f"{name}.{kind}" for name in parts)
        for theirs, parts in modules.items()
        for kind in ("weight", "bias")
        if f"{parts[0]}.{kind}" in there
    }
    return {layout.renamed.get(theirs, theirs): parts for theirs, parts in found.items()}


def _refuse(layout: Layout, values: Mapping[str, Any], path: Path) -> None:
    wrong = [key for key, meant in layout.always.items() if key in values and values[key] not in meant]
    supported = [f"{key}={layout.always[key][0]}" for key in wrong]
    asked = {"quantization_config": "quantization_config" in values, **layout.refused(values)}
    found = [f"{key}={_short(values[key])}" for key in wrong] + [name for name, is_asked in asked.items() if is_asked]
    if found:
        hint = f"of a {TRAITS[layout.family].name} model, {', '.join(supported)} is supported" if supported else ""
        raise CheckpointError(
            f"{path}: asks for {', '.join(found)}, which this model does not do",
            hint=hint or "open a model without it",
        )
    known = {*_NOTES, *layout.always, *layout.fields.values(), *layout.defaults, *layout.training, *layout.notes, OURS}
    strange = sorted(key for key, value in values.items() if value and key not in known)
    if strange:
        raise CheckpointError(
            f"{path}: {strange[0]}={_short(values[strange[0]])} is nothing that is known of a "
            f"{TRAITS[layout.family].name} model, and it might change what the model computes",
            hint="take it out of config.json if it changes nothing",
        )


def _shape(layout: Layout, values: Mapping[str, Any], path: Path) -> ModelConfig:
    missing = [theirs for theirs in layout.fields.values() if theirs not in values]
    if missing:
        raise CheckpointError(f"{path}: lacks {', '.join(missing)}", hint=_BELONG)
    own = values.get(OURS)
    fields = {name: values[theirs] for name, theirs in layout.fields.items()}
    fields |= {"family": layout.family, **layout.read(values), **(own if isinstance(own, Mapping) else {})}
    try:
        return build(ModelConfig, fields, source=str(path))
    except ConfigError as error:
        said = error.message.removeprefix(f"{path}: ").removeprefix("ModelConfig: ")
        raise CheckpointError(f"{path}: {said}", hint=_BELONG) from None


def _usual_names(layout: Layout, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return weights by the names that a model with its head has, whoever wrote them."""
    if any(name.startswith(layout.base) for name in weights):
        named = dict(weights)
    else:
        heads = tuple(name for name in layout.outside if not name.startswith(layout.base))
        named = {name if name.startswith(heads) else layout.base + name: value for name, value in weights.items()}
    for pattern, usual in layout.aliases.items():
        renamed = {re.sub(pattern, usual, name): name for name in named}
        named = {new: named[old] for new, old in renamed.items()}
    return named


def _turns(layout: Layout, theirs: str, whole: Tensor) -> bool:
    return layout.is_transposed and whole.dim() == 2 and theirs.startswith(layout.layers)


def _is_spare(layout: Layout, name: str, config: ModelConfig) -> bool:
    if name.endswith(("rotary_emb.inv_freq", "position_ids")):
        return True
    heads = (f"{theirs}.weight" for theirs, ours in layout.outside.items() if ours == ("head",))
    if config.tied_embeddings and name in heads:
        return True  # some writers store a tied head a second time
    return bool(layout.spare and re.fullmatch(layout.spare, name))


def _check_names(missing: set[str], strange: set[str], path: Path) -> None:
    for words, found in (("lacks", sorted(missing)), ("holds unknown", sorted(strange))):
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise CheckpointError(
                f"{path}: {words} {', '.join(found[:3])}{more}", hint="config.json and weights must belong together"
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
