from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from textus.errors import ConfigError
from textus.training import machine
from textus.training.config import TrainConfig


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_what_is_seen_of_a_cpu_is_plausible() -> None:
    found = machine.look(TrainConfig(device="cpu", threads=1, precision="fp32"))
    assert (found.device, found.threads, found.precision) == ("cpu", 1, "fp32")
    assert torch.get_num_threads() == 1
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < found.base_bytes < total
    assert 0 < found.memory_bytes < total
    assert 1e8 < found.flops < 1e14
    assert found.name


def test_looking_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    machine.look(TrainConfig(device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)


def test_auto_takes_a_device_that_is_there() -> None:
    found = machine.look(TrainConfig(threads=1, precision="fp32"))
    assert found.device == ("cuda" if torch.cuda.is_available() else found.device)
    assert found.device != "cuda" or torch.cuda.is_available()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"training\.device=cuda: this machine has no such device") as caught:
        machine.look(TrainConfig(device="cuda"))
    assert "cpu" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_process_bound_to_one_core_uses_one_thread() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from textus.training import machine; from textus.training.config import TrainConfig\n"
        "print(machine.look(TrainConfig(device='cpu', precision='fp32')).threads)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_the_limits_of_a_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CONTROL_GROUP", tmp_path)
    config = TrainConfig(device="cpu", precision="fp32")
    free = machine.look(config)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.look(config).threads == free.threads
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{free.base_bytes + 2**20}\n")
    found = machine.look(config)
    assert found.threads == 1
    assert found.memory_bytes < 2**30


def test_the_peak_is_at_least_what_was_held() -> None:
    block = bytearray(os.urandom(1)) * (50 * 2**20)
    assert machine.peak_bytes("cpu") > len(block)
