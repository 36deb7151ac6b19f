"""Put adapters on a model, take them off, merge them; keep them as PEFT does (`adapter_config.json` and weights)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from textus import storage
from textus.adaptation.settings import LoraConfig
from textus.checkpoint.families import weight_names
from textus.errors import CheckpointError, ConfigError
from textus.model.adapter import AdaptedLinear, Pair, TokenRows, adapted, add_rows, hear, matrices
from textus.model.transformer import Transformer

CONFIG, WEIGHTS, ORIGIN = "adapter_config.json", "adapter_model.safetensors", "provenance.json"
_PREFIX = "base_model.model."
_ROWS = "token_adapter.trainable_tokens_delta"
"""Where PEFT keeps the rows of single tokens."""
_MAGNITUDE = "lora_magnitude_vector"
"""Where it keeps what DoRA learns of each row."""
MINE = "mine"
"""The name under which an adapter is trained."""


def attach(model: Transformer, config: LoraConfig, seed: int, tokens: Sequence[int] = ()) -> None:
    """Freeze a model and put a new adapter on it; rows of the embeddings learn only for `tokens`.

    Raises `ConfigError` for a family that keeps several of the matrices as one, whose adapters nobody else would read.
    """
    theirs = weight_names(model.config)
    if any(f"{name}.weight" not in theirs for _, _, name, _ in matrices(model, config.targets)):
        raise ConfigError(
            f"a {model.traits.name} model keeps queries, keys and values as one matrix, to which no adapter can be put",
            hint="leave the adapter out and train all weights, or begin with a Llama, Mistral, Qwen2 or Qwen3",
        )
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for owner, last, _, plain in matrices(model, config.targets):
        sizes = plain.in_features, plain.out_features, config.rank
        pair = Pair(*sizes, config.scale, config.dropout, dora=config.dora)
        pair.begin(generator, plain.weight)
        put(owner, last, plain, MINE, pair.to(plain.weight.device))
    hear(model, MINE)
    for weight in _tables(model) if tokens else ():
        _learn_rows(weight, tokens)


def put(owner: nn.Module, last: str, plain: nn.Module, name: str, pair: Pair) -> None:
    """Add a pair to the matrix that `owner` has under the name `last`."""
    assert isinstance(plain, nn.Linear)
    if not isinstance(plain, AdaptedLinear):
        plain = AdaptedLinear(plain)  # type: ignore[arg-type]
        plain.train(owner.training)
        setattr(owner, last, plain)
    plain.adapters[name] = pair


def _tables(model: Transformer) -> list[nn.Parameter]:
    names = ("embedding.weight",) if model.config.tied_embeddings else ("embedding.weight", "head.weight")
    return [model.get_parameter(name) for name in names]


def _learn_rows(weight: nn.Parameter, tokens: Sequence[int]) -> None:
    """Let only these rows have a gradient; the others then stay as they are, to the last bit."""
    weight.requires_grad_(True)
    rows = torch.tensor(sorted(tokens))
    held: dict[torch.device, Tensor] = {}

    def only(gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        # copied once: what a GPU replays must not wait for the host
        if gradient.device not in held:
            held[gradient.device] = rows.to(gradient.device)
        here = held[gradient.device]
        kept[here] = gradient[here]
        return kept

    weight.register_hook(only)  # type: ignore[no-untyped-call]


@torch.no_grad()
def merged(model: Transformer) -> Transformer:
    """Return a plain model whose matrices have taken up the adapter that is heard; the one given stays as it is."""
    state = {name: value for name, value in model.state_dict().items() if name not in model.beside_parameters()}
    for name, matrix in adapted(model).items():
        if matrix.heard:
            pair = matrix.adapters[matrix.heard]
            assert isinstance(pair, Pair)
            state[f"{name}.weight"] = pair.sum(matrix.weight).to(matrix.weight.dtype)
    with torch.device("meta"):
        plain = Transformer(model.config)
    plain.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
    plain.tie()
    return plain.requires_grad_().eval()


@torch.no_grad()
def drift(one: Transformer, other: Transformer, tokens: Tensor) -> float:
    """Return the largest difference of the two models' logits on some tokens."""
    return float((one(tokens).logits.float() - other(tokens).logits.float()).abs().max())


def save(
    directory: Path,
    model: Transformer,
    config: LoraConfig,
    tokens: Sequence[int],
    *,
    base: Path,
    origin: Mapping[str, Any],
) -> None:
    """Write the adapter that is heard as PEFT keeps one; `origin` says of which base it is."""
    theirs = weight_names(model.config)
    weights: dict[str, Tensor] = {}
    targets = set()
    for name, matrix in adapted(model).items():
        pair = matrix.adapters[matrix.heard]
        assert isinstance(pair, Pair)
        place = theirs[f"{name}.weight"].removesuffix(".weight")
        targets.add(place.rpartition(".")[2])
        for part, weight in (("lora_A", pair.down.weight), ("lora_B", pair.up.weight)):
            weights[f"{_PREFIX}{place}.{part}.weight"] = weight.detach().cpu().contiguous()
        if pair.magnitude is not None:
            weights[f"{_PREFIX}{place}.{_MAGNITUDE}"] = pair.magnitude.weight.detach().cpu().contiguous()
    values: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": config.rank,
        "lora_alpha": config.scale,
        "lora_dropout": config.dropout,
        "target_modules": sorted(targets),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "use_rslora": False,
        "use_dora": config.dora,
    }
    if tokens:
        table = theirs["embedding.weight"].removesuffix(".weight")
        values["trainable_token_indices"] = {table.rpartition(".")[2]: sorted(tokens)}
        rows = model.embedding.weight[sorted(tokens)].detach().cpu().contiguous()
        weights[f"{_PREFIX}{table}.{_ROWS}"] = rows
        if not model.config.tied_embeddings:
            head = theirs["head.weight"].removesuffix(".weight")
            values["trainable_token_indices"][head] = sorted(tokens)
            rows = model.head.weight[sorted(tokens)].detach().cpu().contiguous()
            weights[f"{_PREFIX}{head}.{_ROWS}"] = rows
    with storage.refusals(directory):
        directory.mkdir(parents=True, exist_ok=True)
        storage.write_json(directory / CONFIG, values)
        storage.write_json(directory / ORIGIN, dict(origin))
        save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
        (directory / WEIGHTS).chmod((directory / CONFIG).stat().st_mode)


@dataclass(frozen=True)
class _Read:
    """An adapter's directory, opened."""

    rank: int
    alpha: float
    weights: dict[str, Tensor]
    rows: dict[str, Any]
    dora: bool


@torch.no_grad()
def load(model: Transformer, directory: Path, name: str, base: str = "") -> None:
    """Put the adapter in `directory` on a model under this name and let it be heard, in evaluation mode.

    Raises `CheckpointError` where it is none, of a kind that is not read, or of another base than the one whose
    weights have the fingerprint `base`.
    """
    found = _read(directory, base)
    names = {theirs: ours for ours, theirs in weight_names(model.config).items()}
    pairs: dict[str, dict[str, Tensor]] = {}
    for key, weight in found.weights.items():
        place, _, part = key.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
        ours = names.get(f"{place}.weight", "").removesuffix(".weight")
        if key.endswith(_ROWS):
            add_rows(model, name, _rows(model, directory, key, weight, found.rows, names))
        elif not ours or part not in ("lora_A", "lora_B", *([_MAGNITUDE] if found.dora else [])):
            raise _strange(directory, f"it changes {key.removeprefix(_PREFIX)}")
        else:
            pairs.setdefault(ours, {})[part] = weight
    for ours, parts in pairs.items():
        _put_pair(model, directory, ours, parts, found, name)
    hear(model, name)


def _put_pair(
    model: Transformer, directory: Path, ours: str, parts: dict[str, Tensor], found: _Read, name: str
) -> None:
    owner, _, last = ours.rpartition(".")
    plain = model.get_submodule(ours)
    assert isinstance(plain, nn.Linear)
    shapes: dict[str, tuple[int, ...]] = {
        "lora_A": (found.rank, plain.in_features),
        "lora_B": (plain.out_features, found.rank),
        **({_MAGNITUDE: (plain.out_features,)} if found.dora else {}),
    }
    for part, shape in shapes.items():
        if part not in parts or parts[part].shape != shape:
            has = list(parts[part].shape) if part in parts else "nothing"
            raise _strange(directory, f"{ours} wants a {part} of {list(shape)}, and it holds {has}")
    pair = Pair(plain.in_features, plain.out_features, found.rank, found.alpha, 0.0, dora=found.dora)
    pair.down.weight.copy_(parts["lora_A"])
    pair.up.weight.copy_(parts["lora_B"])
    if pair.magnitude is not None:
        pair.magnitude.weight.copy_(parts[_MAGNITUDE])
    put(model.get_submodule(owner), last, plain, name, pair.to(plain.weight).eval())


def _rows(
    model: Transformer, directory: Path, key: str, rows: Tensor, indices: dict[str, Any], names: Mapping[str, str]
) -> TokenRows:
    """Return an adapter's own rows of tokens; PEFT keeps whole rows, though it calls them a delta."""
    place = key.removeprefix(_PREFIX).removesuffix(f".{_ROWS}")
    tokens = indices.get(place.rpartition(".")[2])
    ours = names.get(f"{place}.weight")
    if ours not in ("embedding.weight", "head.weight") or not isinstance(tokens, list) or len(tokens) != len(rows):
        raise _strange(directory, f"its rows of {place} are of no table here")
    table = model.get_parameter(ours)
    if max(tokens) >= len(table) or rows.shape[1] != table.shape[1]:
        raise _strange(directory, f"it knows token {max(tokens)}, and the model {len(table)} tokens")
    return TokenRows(ours, tokens, rows)


def _read(directory: Path, base: str) -> _Read:
    if not (directory / CONFIG).is_file():
        raise CheckpointError(
            f"{directory / CONFIG}: no such file, so this is no adapter's directory",
            hint="give the `adapter` folder of a model that was adapted with --lora, or one of PEFT's",
        )
    values = storage.read_json(directory / CONFIG, CheckpointError)
    refused = {
        "peft_type": values.get("peft_type") != "LORA",
        "bias": values.get("bias", "none") != "none",
        "modules_to_save": bool(values.get("modules_to_save")),
        "rank_pattern": bool(values.get("rank_pattern")),
        "alpha_pattern": bool(values.get("alpha_pattern")),
    }
    if wrong := [name for name, is_wrong in refused.items() if is_wrong]:
        raise CheckpointError(
            f"{directory / CONFIG}: {wrong[0]} is {values.get(wrong[0])!r}, which is not read",
            hint="merge it into its base with the tool that made it",
        )
    origin = storage.read_json(directory / ORIGIN, CheckpointError) if (directory / ORIGIN).is_file() else {}
    of = origin.get("base", "") if isinstance(origin, dict) else ""
    if base and of and base != of:
        raise CheckpointError(
            f"{directory}: an adapter of another model (made on {values.get('base_model_name_or_path')})",
            hint="give it with the model that it was trained on",
        )
    try:
        weights: dict[str, Tensor] = load_file(directory / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{directory / WEIGHTS}: damaged: {error}", hint="restore it, or train again") from None
    rank, alpha = values.get("r"), values.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise CheckpointError(f"{directory / CONFIG}: r is {rank!r}, lora_alpha {alpha!r}", hint="restore the file")
    scaled = float(alpha) * (rank**0.5 if values.get("use_rslora") else 1.0)
    rows = values.get("trainable_token_indices") or {}
    named = rows if isinstance(rows, dict) else {"embed_tokens": rows}
    return _Read(rank, scaled, weights, named, bool(values.get("use_dora")))


def _strange(directory: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{directory}: does not fit this model: {what}", hint="give it with its own base model")
