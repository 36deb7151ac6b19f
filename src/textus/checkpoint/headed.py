"""Models that label or compare texts on disk: as transformers and sentence-transformers know them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from textus import storage
from textus.checkpoint import families
from textus.checkpoint.layout import OURS
from textus.config import build
from textus.errors import CheckpointError, ConfigError
from textus.model.config import ModelConfig
from textus.model.family import TRAITS, Family
from textus.model.headed import HEADED, Headed, TaskConfig, has_bias

_TASK = "task"
"""Key of the task among what only we know."""
_KINDS = {"classify": "ForSequenceClassification", "tag": "ForTokenClassification", "embed": "Model"}
"""What transformers calls a model of a family that does this, behind the family's name."""
_RESTORE = "restore the config.json that belongs to the weights"


def is_headed(values: Mapping[str, Any]) -> bool:
    """Tell whether a config is of a model that labels or compares texts."""
    own = values.get(OURS)
    return isinstance(own, Mapping) and _TASK in own


def to_config(plain: Mapping[str, Any], model: Headed) -> dict[str, Any]:
    """Return the config of a model with its head, from what its body alone would be written as."""
    task, config = model.task, model.config
    labels = dict(enumerate(task.labels))
    written = {
        **plain,
        "architectures": [_architecture(config.family, task.task)],
        OURS: {**plain[OURS], _TASK: {**vars(task), "labels": list(task.labels)}},
    }
    if labels:
        written |= {
            "id2label": {str(number): label for number, label in labels.items()},
            "label2id": {label: number for number, label in labels.items()},
        }
    if task.task == "classify":
        written["problem_type"] = f"{'multi' if task.several else 'single'}_label_classification"
    if TRAITS[config.family].is_encoder:
        # it knows no other, and asks only where texts are classified
        written["classifier_pooling"] = "cls" if task.pooling == "cls" else "mean"
    elif task.reading == "bidirectional":
        written["is_causal"] = False
    return written


def from_config(values: Mapping[str, Any], path: Path) -> tuple[ModelConfig, TaskConfig]:
    """Read what `to_config` has written; raise `CheckpointError` naming `path` where that is not whole."""
    own = dict(values[OURS])
    try:
        task = build(TaskConfig, dict(own.pop(_TASK)), source=str(path), prefix=f"{OURS}.{_TASK}.")
    except (ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(getattr(error, "message", f"{path}: {error}"), hint=_RESTORE) from None
    kind = values.get("model_type")
    family = next((family for family in HEADED if families.LAYOUTS[family].model_type == kind), HEADED[0])
    if values.get("architectures") != [_architecture(family, task.task)]:
        raise CheckpointError(
            f"{path}: holds {values.get('architectures')}, and its task is {task.task}", hint=_RESTORE
        )
    plain = {**values, "architectures": [families.LAYOUTS[family].architectures[0]], OURS: own}
    return families.from_config(plain, path), task


def _architecture(family: Family, task: str) -> str:
    plain = families.LAYOUTS[family].architectures[0]
    return plain.removesuffix("ForCausalLM").removesuffix("ForMaskedLM") + _KINDS[task]


def to_weights(state: Mapping[str, Tensor], model: Headed) -> dict[str, Tensor]:
    """Rename our weights."""
    own = {theirs: state[ours].contiguous() for ours, theirs in _own_names(model).items()}
    return families.to_weights(state, model.config, body_only=_is_bare(model)) | own


def from_weights(weights: Mapping[str, Tensor], model: Headed, path: Path) -> dict[str, Tensor]:
    """Rename their weights; raise `CheckpointError` naming `path` where one is missing or not ours to read."""
    names, config = _own_names(model), model.config
    missing = [theirs for theirs in names.values() if theirs not in weights]
    if missing:
        raise CheckpointError(
            f"{path}: lacks {', '.join(missing)}", hint="config.json and weights must belong together"
        )
    body = {name: value for name, value in weights.items() if name not in names.values()}
    state, _ = families.from_weights(body, config, path, body_only=_is_bare(model))
    state.pop("head.weight", None)
    return state | {ours: weights[theirs] for ours, theirs in names.items()}


def write_modules(directory: Path, model: Headed) -> None:
    """Write the files by which sentence-transformers makes vectors as we do, where the model is for that."""
    task, config = model.task, model.config
    if task.task != "embed":
        return
    places = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": number, "name": str(number), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, place) in enumerate(places.items())
    ]
    names = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}
    pooling = {f"pooling_mode_{name}": task.pooling == ours for ours, name in names.items()}
    reads: dict[str, Any] = {"max_seq_length": config.context_length, "do_lower_case": False}
    if not TRAITS[config.family].is_encoder and task.reading == "bidirectional":
        reads["model_args"] = {"attn_implementation": "eager"}  # its other attention is causal where nothing is padded
    (directory / "1_Pooling").mkdir()
    (directory / "2_Normalize").mkdir()
    storage.write_json(directory / "modules.json", modules)
    storage.write_json(directory / "sentence_bert_config.json", reads)
    storage.write_json(
        directory / "1_Pooling" / "config.json", {"word_embedding_dimension": config.hidden_size, **pooling}
    )
    storage.write_json(directory / "2_Normalize" / "config.json", {})
    storage.write_json(
        directory / "config_sentence_transformers.json",
        {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def _is_bare(model: Headed) -> bool:
    """Tell whether the body stands alone: a model for vectors has nothing that transforms its states."""
    return model.task.task == "embed"


def _own_names(model: Headed) -> dict[str, str]:
    """Return their names of the weights that only a head has, by ours."""
    if model.task.task == "embed":
        return {}
    theirs = "classifier" if TRAITS[model.config.family].is_encoder else "score"
    bias = {"classifier_bias.weight": f"{theirs}.bias"} if has_bias(model.config, model.task) else {}
    return {"classifier.weight": f"{theirs}.weight", **bias}
