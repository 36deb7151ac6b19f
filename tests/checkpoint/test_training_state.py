from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from textus import storage
from textus.checkpoint import training_state
from textus.errors import CheckpointError, ResourceError

SHAPES = {"blocks.0.weight": (4, 3), "norm": (3,), "head/odd.name": (2, 3)}
VALUES: dict[str, Any] = {"step": 3, "rate": 0.1 + 0.2, "best": float("inf"), "monitor": {"losses": [1e-300, 3.3]}}
Make = Callable[[], torch.optim.Optimizer]


def adamw(shapes: dict[str, tuple[int, ...]] = SHAPES, *, fused: bool = True) -> torch.optim.AdamW:
    generator = torch.Generator().manual_seed(0)
    parameters = {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in shapes.items()}
    names = list(parameters)
    groups = [
        {"params": [parameters[name] for name in part], "names": part, "weight_decay": decay}
        for part, decay in ((names[:1], 0.1), (names[1:], 0.0))
    ]
    return torch.optim.AdamW(groups, lr=1e-2, fused=fused)


def parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def learn(optimizer: torch.optim.Optimizer, steps: int, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for parameter in parameters(optimizer):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def save(run: Path, step: int, optimizer: torch.optim.Optimizer) -> Path:
    path = training_state.path(run, step)
    with storage.new_directory(path) as partial:
        training_state.write(partial, optimizer, VALUES | {"step": step})
        storage.seal(partial, training_state.KIND, "key", {}, {"step": step})
    return path


@pytest.mark.parametrize("fused", [True, False])
def test_an_optimizer_goes_on_as_if_it_had_never_stopped(tmp_path: Path, fused: bool) -> None:
    whole, resumed = adamw(fused=fused), adamw(fused=fused)
    learn(whole, 3)
    path = save(tmp_path, 3, whole)
    with torch.no_grad():
        for mine, theirs in zip(parameters(resumed), parameters(whole), strict=True):
            mine.copy_(theirs)
    assert training_state.read(path, resumed) == VALUES
    for mine, theirs in zip(parameters(resumed), parameters(whole), strict=True):
        assert resumed.state[mine].keys() == whole.state[theirs].keys() == {"step", "exp_avg", "exp_avg_sq"}
        for slot, tensor in whole.state[theirs].items():
            assert torch.equal(resumed.state[mine][slot], tensor)
            assert resumed.state[mine][slot].dtype == tensor.dtype
    storage.discard(path)
    for optimizer in (whole, resumed):
        learn(optimizer, 4, seed=2)
    assert all(map(torch.equal, parameters(resumed), parameters(whole)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_fused_optimizer_on_a_gpu_goes_on_too(tmp_path: Path) -> None:
    def on_gpu() -> torch.optim.AdamW:
        optimizer = adamw()
        for parameter in parameters(optimizer):
            parameter.data = parameter.data.cuda()
        return optimizer

    whole, resumed = on_gpu(), on_gpu()
    for optimizer in (whole, resumed):
        for parameter in parameters(optimizer):
            parameter.grad = torch.ones_like(parameter)
    whole.step()
    training_state.read(save(tmp_path, 1, whole), resumed)
    for mine, theirs in zip(parameters(resumed), parameters(whole), strict=True):
        mine.data.copy_(theirs.data)
    for optimizer in (whole, resumed):
        optimizer.step()
    assert all(map(torch.equal, parameters(resumed), parameters(whole)))


def test_an_optimizer_that_has_not_stepped_has_nothing_to_keep(tmp_path: Path) -> None:
    resumed = adamw()
    learn(resumed, 1)
    assert training_state.read(save(tmp_path, 0, adamw()), resumed)["step"] == 0
    assert not resumed.state


def sgd() -> torch.optim.Optimizer:
    optimizer = adamw()
    return torch.optim.SGD(optimizer.param_groups, lr=0.1, momentum=0.9)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: adamw(SHAPES | {"extra": (2,)}), "this model has `extra`, and its optimizer has not"),
        (lambda: adamw({"norm": (3,), "head/odd.name": (2, 3)}), "its optimizer has `blocks.0.weight`, and this model"),
        (lambda: adamw(SHAPES | {"norm": (4,)}), r"`norm/exp_avg` has shape \[3\], not \[4\]"),
        (sgd, "its optimizer is AdamW, and this run's is SGD"),
    ],
)
def test_the_state_of_another_optimizer_is_refused_and_nothing_is_taken_of_it(
    tmp_path: Path, other: Make, words: str
) -> None:
    mine = adamw()
    learn(mine, 2)
    path = save(tmp_path, 2, mine)
    foreign = other()
    with pytest.raises(CheckpointError, match=words) as caught:
        training_state.read(path, foreign)
    assert caught.value.hint
    assert not foreign.state


@pytest.mark.parametrize("name", [training_state.TENSORS, "state.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut"])
def test_damaged_files_are_named_and_nothing_is_taken_of_them(tmp_path: Path, name: str, damage: str) -> None:
    mine, fresh = adamw(), adamw()
    learn(mine, 1)
    path = save(tmp_path, 1, mine)
    file = path / training_state.FOLDER / name
    data = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(b"" if damage == "empty" else data[:-7])
    with pytest.raises(CheckpointError, match=r"damaged|no such file"):
        training_state.read(path, fresh)
    assert not fresh.state


def test_the_newest_whole_one_is_found_whatever_is_damaged(tmp_path: Path) -> None:
    assert training_state.newest(tmp_path / "none") == (None, [])
    draw, optimizer = random.Random(0), adamw()
    learn(optimizer, 1)
    paths = [save(tmp_path, step, optimizer) for step in (5, 10, 100_000_000)]
    (tmp_path / "step-words").mkdir()
    (tmp_path / "step-00000200").write_text("a file")
    assert training_state.steps(tmp_path) == [5, 10, 100_000_000]
    assert training_state.newest(tmp_path) == (paths[2], [])
    files = sorted(file for file in paths[2].rglob("*") if file.is_file())
    for _ in range(60):
        file = draw.choice(files)
        whole = file.read_bytes()
        broken = bytearray(whole)
        if draw.random() < 0.3:
            del broken[draw.randrange(len(broken)) :]
        else:
            # Every bit but the one that makes another blank of a blank, in the manifest's JSON.
            places = [place for place, byte in enumerate(broken) if file.name != storage.MANIFEST or byte not in b" \n"]
            broken[draw.choice(places)] ^= 1 << draw.randrange(8)
        file.write_bytes(broken)
        found, (sentence,) = training_state.newest(tmp_path)
        assert found == paths[1]
        assert sentence.startswith("checkpoint 100000000 is damaged and was passed over: ")
        file.write_bytes(whole)
    for path in paths:
        (path / storage.MANIFEST).unlink()
    assert training_state.newest(tmp_path)[0] is None
    assert len(training_state.newest(tmp_path)[1]) == 3


def test_a_full_disk_is_said_and_the_one_before_stays(tmp_path: Path) -> None:
    import os
    import subprocess

    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        small, large = adamw(), adamw({"a": (100, 100), "b": (100, 100)})
        for optimizer in (small, large):
            learn(optimizer, 1)
        kept = save(tmp_path, 1, small)
        with pytest.raises(ResourceError, match="no space left to write"):
            save(tmp_path, 2, large)
        assert training_state.newest(tmp_path) == (kept, [])
        assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
