"""Exports of a trained run: what they hold is measured, and what they cost is told."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textus
from textus.cli.main import main
from textus.errors import CheckpointError, ConfigError, InputError, ResourceError
from textus.evaluation.estimate import ratio
from textus.verbs.export import _change

pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("export") / "first"
    shutil.copytree(trained / "runs/first", place)
    return place


def scores(found: tuple[textus.Score, ...]) -> dict[str, float]:
    return {score.name: score.value for score in found}


@pytest.mark.parametrize(("kind", "most"), [("f32", 1e-7), ("f16", 1e-3), ("q8_0", 1e-2)])
def test_what_a_gguf_file_costs_is_measured(run: Path, tmp_path: Path, kind: str, most: float) -> None:
    found = textus.export(run, to="gguf", type=kind, out=tmp_path / "a.gguf")
    plain = textus.evaluate(run, look_in_training=False)
    assert found.before == plain.scores, "measured as `evaluate` does"
    assert found.change is not None
    difference = scores(found.after)["bits_per_byte"] - scores(found.before)["bits_per_byte"]
    assert found.change.value == pytest.approx(difference, abs=1e-9)
    assert abs(found.change.value) <= most
    assert found.change.error <= most
    assert (found.change.value == 0) == (kind == "f32")
    assert found.num_bytes == (tmp_path / "a.gguf").stat().st_size
    assert f"change of bits per byte: {found.change.value:+.5f}" in str(found)


def test_what_an_onnx_file_costs_is_measured(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    found = textus.export(run, to="onnx", type="int8", out=tmp_path / "a.onnx")
    assert found.change is not None
    assert 0 < abs(found.change.value) < 0.1
    assert {score.name for score in found.after} == {"loss", "perplexity", "bits_per_byte"}
    assert len(list(tmp_path.iterdir())) == 1


def test_an_encoder_changes_on_hidden_tokens(both_ways: Path) -> None:
    before = textus.evaluate(both_ways / "runs/masked", look_in_training=False)
    after = dataclasses.replace(before, units=dataclasses.replace(before.units, nats=before.units.nats * 1.5))
    change = _change(before, after)
    assert change.name == "change_of_masked_loss"
    assert change.value == pytest.approx(0.5 * before.score("masked_loss").value)


def test_the_error_is_that_of_the_pairs(run: Path, tmp_path: Path) -> None:
    found = textus.export(run, to="gguf", type="q8_0", out=tmp_path / "a.gguf")
    from textus.exporting import gguf
    from textus.verbs.material import part_of

    opened = textus.load(run)
    before = textus.evaluate(opened, look_in_training=False)
    opened.model.load_state_dict(gguf.read(tmp_path / "a.gguf", opened.config))
    after = textus.evaluate(opened, look_in_training=False)
    assert part_of(opened, "validation").num_documents == before.documents
    bits = (after.units.nats - before.units.nats) / math.log(2)
    value, error = ratio(bits, before.units.num_bytes.astype(np.float64))
    assert found.change is not None
    assert (found.change.value, found.change.error) == pytest.approx((value, error))


def test_other_texts_can_be_measured_on_and_nothing_needs_to_be(run: Path, trained: Path, tmp_path: Path) -> None:
    found = textus.export(run, trained / "other_texts", to="gguf", out=tmp_path / "a.gguf")
    wanted = textus.evaluate(run, trained / "other_texts", look_in_training=False)
    assert found.before == wanted.scores
    silent = textus.export(run, to="gguf", out=tmp_path / "b.gguf", measure=False)
    assert (silent.before, silent.after, silent.change) == ((), (), None)


def test_a_model_without_texts_is_exported_and_says_so(run: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone"
    lone.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copyfile(run / name, lone / name)
    found = textus.export(lone, to="gguf")
    assert found.path == lone / "exports/lone-f16.gguf"
    assert found.before == ()
    assert found.notes == ("not measured: the model has no validation part beside it; name texts to measure it on",)
    with pytest.raises(InputError):
        textus.export(lone, tmp_path / "nowhere", to="gguf", out=tmp_path / "c.gguf")
    textus.load(lone)


def test_what_is_there_is_never_replaced(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_text("mine")
    with pytest.raises(ResourceError, match=r"a\.gguf: is there already"):
        textus.export(run, to="gguf", out=tmp_path / "a.gguf")
    assert (tmp_path / "a.gguf").read_text() == "mine"
    with pytest.raises(ResourceError, match="a directory stands there"):
        textus.export(run, to="gguf", out=tmp_path)


def test_what_cannot_be_is_refused_before_anything_is_written(run: Path, both_ways: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format `ollama`"):
        textus.export(run, to="ollama")
    with pytest.raises(CheckpointError, match="reads both ways"):
        textus.export(both_ways / "runs/masked", to="gguf", out=tmp_path / "a.gguf")
    with pytest.raises(CheckpointError, match="no such directory"):
        textus.export(tmp_path / "none", to="gguf")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_the_same(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", str(run), "--to", "gguf", "--type", "q8_0", "-o", str(tmp_path / "a.gguf"), "--json"]
    assert main(words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["format"], found["type"]) == ("gguf", "q8_0")
    assert found["path"] == str(tmp_path / "a.gguf")
    assert {score["name"] for score in found["before"]} == {"loss", "perplexity", "bits_per_byte"}
    assert found["change"]["name"] == "change_of_bits_per_byte"
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
