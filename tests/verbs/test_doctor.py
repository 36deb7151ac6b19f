"""The doctor tries the real thing, and tells what is broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import textus
from textus.cli.main import main
from textus.verbs import doctor as module
from textus.verbs.doctor import Diagnosis, Finding

PARTS = ["corpus", "training", "writing"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_sound_installation_is_healthy_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = textus.doctor()
    assert found.healthy, str(found)
    states = {finding.name: finding for finding in found.findings}
    assert list(states)[-3:] == PARTS
    assert re.fullmatch(r"three steps on \w+, loss \d+\.\d\d, [\d.]+ s", states["training"].words)
    assert torch.__version__.partition("+")[0] in states["libraries"].words
    assert not list(tmp_path.glob("textus-*"))
    assert torch.get_num_threads() == 1


def test_what_is_broken_is_a_finding_and_ends_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **more: object) -> None:
        raise RuntimeError("no kernel image\nfor this device")

    monkeypatch.setattr(module, "clean", broken)  # no broken library is at hand
    found = textus.doctor()
    assert not found.healthy
    assert found.findings[-1].name == "corpus"
    assert found.findings[-1].words == "RuntimeError: no kernel image"
    assert "something is wrong" in str(found)


def test_libraries_that_are_missing_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_requirements", lambda extra: ["torch", "no-such-library"])
    found = module._libraries()
    assert (found.state, found.words) == ("failed", "not installed: no-such-library")


def test_more_threads_than_cores_get_advice() -> None:
    torch.set_num_threads(4096)
    try:
        found = module._processor()
    finally:
        torch.set_num_threads(1)
    assert found.state == "advice"
    assert "OMP_NUM_THREADS=" in found.advice


def test_the_requirements_are_those_of_the_package() -> None:
    assert {"torch", "tokenizers", "numpy", "safetensors"} <= set(module._requirements(""))
    assert module._requirements("hf") == ["transformers"]


def test_findings_are_shown_in_lines() -> None:
    shown = Diagnosis((Finding("disk", "good", "much"), Finding("memory", "advice", "little", "buy some")), 1.0)
    assert str(shown).splitlines() == [
        "disk    ok      much",
        "memory  !       little",
        "                -> buy some",
        "all is well; 1 seconds",
    ]


def test_the_command_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--no-self-test", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is True
    assert not {finding["name"] for finding in found["findings"]} & set(PARTS)
    assert all(finding["words"] for finding in found["findings"])
