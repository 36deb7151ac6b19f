"""The weights in a directory: safetensors, one file or several; what can run code when it is opened is refused."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from textus import storage
from textus.errors import CheckpointError

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_POINTER = b"version https://git-lfs"
_AGAIN = "download it again, or restore it"


def files(directory: Path) -> list[Path]:
    """Return the files that hold a directory's weights; raise `CheckpointError` where there are none, or not all."""
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / INDEX).is_file():
        found = sorted({directory / name for name in _weight_map(directory).values()})
        missing = [path.name for path in found if not path.is_file()]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise CheckpointError(
                f"{directory}: {missing[0]}{more} of its {len(found)} files of weights is missing",
                hint="finish the download: each file that model.safetensors.index.json names must be there",
            )
        return found
    raise _none(directory)


def read(directory: Path) -> dict[str, Tensor]:
    """Return all weights of a directory by the names in its files."""
    found: dict[str, Tensor] = {}
    for path in files(directory):
        found |= _read_file(path)
    if not (directory / WEIGHTS).is_file():
        named = _weight_map(directory)
        missing = sorted(set(named) - set(found))
        if missing:
            raise CheckpointError(
                f"{directory / named[missing[0]]}: lacks {missing[0]}, which {INDEX} says it holds", hint=_AGAIN
            )
    strange = sorted(name for name, value in found.items() if not value.is_floating_point())
    # masks and positions that older versions wrote are no weights
    strange = [name for name in strange if not name.endswith(("position_ids", ".attn.bias"))]
    if strange:
        kind = str(found[strange[0]].dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{directory}: {strange[0]} holds {kind}, and weights are floating point numbers",
            hint="quantised models are not read: take the one that this was made from",
        )
    return found


def _read_file(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            head = file.read(len(_POINTER))
        if head == _POINTER:
            raise CheckpointError(
                f"{path}: a pointer of git-lfs, {path.stat().st_size} bytes long, that stands for the weights",
                hint="fetch what it stands for: `git lfs pull` in that directory",
            )
        found: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged: {error}", hint=f"{_AGAIN}, or train again") from None
    return found


def _weight_map(directory: Path) -> dict[str, str]:
    """Return which file holds each weight; names that lead out of the directory are refused."""
    values: Any = storage.read_json(directory / INDEX, CheckpointError)
    named = values.get("weight_map") if isinstance(values, dict) else None
    if (
        not isinstance(named, dict)
        or not named
        or any(not isinstance(name, str) or Path(name).name != name for name in named.values())
    ):
        raise CheckpointError(f"{directory / INDEX}: does not say which file holds which weight", hint=_AGAIN)
    return named


def _none(directory: Path) -> CheckpointError:
    """Say what stands where the weights should be."""
    names: dict[str, list[str]] = defaultdict(list)
    for path in sorted(directory.iterdir()):
        names[path.suffix].append(path.name)
    pickles = [name for suffix in _PICKLES for name in names[suffix] if name != "tokenizer.bin"]
    if pickles:
        return CheckpointError(
            f"{directory}: its weights are a pickle ({pickles[0]}), which can run code when it is opened",
            hint=f"where you trust it, open it with transformers and write it with save_pretrained, as {WEIGHTS}",
        )
    if names[".gguf"]:
        return CheckpointError(
            f"{directory}: its weights are in llama.cpp's format ({names['.gguf'][0]})",
            hint=f"take the {WEIGHTS} that it was made from",
        )
    return CheckpointError(
        f"{directory / WEIGHTS}: no such file",
        hint="give the directory of a trained model, and where it was downloaded, all of it",
    )
