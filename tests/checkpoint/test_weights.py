"""Files of weights: in one piece, in several, and in every state in which a download may have left them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from textus.checkpoint import weights
from textus.checkpoint.checkpoint import load_model
from textus.errors import CheckpointError


@pytest.fixture(scope="module")
def pieces(their_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose weights are in several files, as transformers writes a large one."""
    directory = tmp_path_factory.mktemp("pieces")
    their_model("llama").save_pretrained(directory, max_shard_size="20KB")
    assert len(list(directory.glob("model-*-of-*.safetensors"))) > 2
    return directory


@pytest.fixture
def mine(pieces: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pieces, tmp_path / "mine")


def first(directory: Path) -> Path:
    return min(directory.glob("model-*.safetensors"))


def test_several_files_are_read_as_one(pieces: Path, their_model: Callable[..., Any]) -> None:
    read, other = torch.arange(20)[None], their_model("llama")
    with torch.inference_mode():
        torch.testing.assert_close(load_model(pieces)(read).logits, other(read).logits, rtol=1e-4, atol=1e-4)
    assert set(weights.read(pieces)) == set(other.state_dict())
    assert weights.files(pieces) == sorted(pieces.glob("model-*.safetensors"))


def test_one_file_is_preferred_as_transformers_does(mine: Path) -> None:
    save_file(weights.read(mine), mine / "model.safetensors")
    first(mine).unlink()
    assert weights.files(mine) == [mine / "model.safetensors"]
    load_model(mine)


def _pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 123\n")


def _without(path: Path) -> None:
    found = load_file(path)
    found.pop(min(found))
    save_file(found, path)


def _index(directory: Path, value: Any) -> None:
    (directory / "model.safetensors.index.json").write_text(json.dumps(value))


def _alone(directory: Path, name: str) -> None:
    for path in directory.glob("model*"):
        path.unlink()
    (directory / name).write_bytes(b"\x80\x02")


@pytest.mark.parametrize(
    ("damage", "words", "hint"),
    [
        (
            lambda d: first(d).unlink(),
            r"model-00001-of-\d+.safetensors of its \d+ files of weights is missing",
            "finish",
        ),
        (lambda d: first(d).write_bytes(first(d).read_bytes()[:-9]), "damaged", "download it again"),
        (lambda d: first(d).write_bytes(b""), "damaged", "download it again"),
        (lambda d: _pointer(first(d)), "a pointer of git-lfs, 66 bytes long", "git lfs pull"),
        (
            lambda d: _without(first(d)),
            "lacks model.embed_tokens.weight, which model.safetensors.index.json",
            "download it again",
        ),
        (lambda d: _index(d, []), "does not say which file holds which weight", ""),
        (lambda d: _index(d, {"weight_map": {}}), "does not say which file", ""),
        (lambda d: _index(d, {"weight_map": {"a": "../a.safetensors"}}), "does not say which file", ""),
        (lambda d: _index(d, {"weight_map": {"a": 3}}), "does not say which file", ""),
        (lambda d: (d / "model.safetensors.index.json").write_text("{"), "index.json: damaged", ""),
        (
            lambda d: _alone(d, "pytorch_model.bin"),
            "a pickle .pytorch_model.bin., which can run code",
            "save_pretrained",
        ),
        (lambda d: _alone(d, "consolidated.00.pth"), "a pickle", "save_pretrained"),
        (lambda d: _alone(d, "model.Q4_1.gguf"), "in llama.cpp's format", "made from"),
        (lambda d: _alone(d, "tokenizer.bin"), "model.safetensors: no such file", "all of it"),
    ],
)
def test_what_a_download_may_have_left_is_one_sentence(mine: Path, damage: Any, words: str, hint: str) -> None:
    damage(mine)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_model(mine)
    assert hint in caught.value.hint and caught.value.hint


def test_numbers_that_are_no_weights_are_refused(mine: Path) -> None:
    found = weights.read(mine)
    name = "model.layers.0.mlp.up_proj.weight"
    save_file({**found, name: found[name].to(torch.int8)}, mine / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"{name} holds int8") as caught:
        load_model(mine)
    assert "quantised" in caught.value.hint
