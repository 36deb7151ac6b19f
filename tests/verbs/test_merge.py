"""One model of several: its weights, where it came from, what it reaches, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.checkpoint import checkpoint, training_state
from textus.checkpoint.checkpoint import write_model
from textus.errors import CheckpointError, ConfigError
from textus.model.transformer import Transformer


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, two models made from it, and two that are of another shape or vocabulary."""
    folder = tmp_path_factory.mktemp("merge")
    opened = textus.load(trained / "runs/first")
    for number in range(3):
        model = Transformer(opened.config)
        model.load_state_dict(opened.model.state_dict())
        torch.manual_seed(number)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * number * torch.randn_like(parameter))
        (folder / f"m{number}").mkdir()
        write_model(folder / f"m{number}", model, opened.tokenizer, {"corpus": "same"})
    (folder / "deeper").mkdir()
    deeper = Transformer(replace(opened.config, num_layers=2))
    write_model(folder / "deeper", deeper, opened.tokenizer, {})
    shutil.copytree(folder / "m1", folder / "otherwise")
    values = json.loads((folder / "otherwise/tokenizer.json").read_text())
    first, second = values["model"]["merges"][:2]
    values["model"]["merges"][:2] = [second, first]
    (folder / "otherwise/tokenizer.json").write_text(json.dumps(values))
    (folder / "text.txt").write_text("A class is a statement. It has a name, and a body.\n" * 3)
    return folder


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return dict(checkpoint.load(directory).model.own_parameters())


def test_a_mean_is_written_with_its_parts_and_measured_beside_them(
    place: Path, tmp_path: Path, one_thread: None
) -> None:
    found = textus.merge([place / "m0", place / "m1"], tmp_path / "both", texts=place / "text.txt")
    mine, parts = weights(tmp_path / "both"), [weights(place / name) for name in ("m0", "m1")]
    for name, value in mine.items():
        torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2)
    told = found.as_dict()
    assert [part["share"] for part in told["parts"]] == [0.5, 0.5]
    alone = textus.evaluate(tmp_path / "both", place / "text.txt").score("bits_per_byte")
    assert found.score == alone and told["parts"][0]["score"]["value"] != alone.value
    came = found.model.provenance
    assert came["corpus"] == "same" and came["settings"]["merge"]["method"] == "uniform"
    assert [part["name"] for part in came["facts"]["merged"]] == ["m0", "m1"]
    assert "bits per byte" in found.report.text()
    again = textus.merge([place / "m0", place / "m1"], tmp_path / "both")  # is there, and is opened
    assert again.model.directory == tmp_path / "both" and again.score is None
    with pytest.raises(ConfigError, match="is there already"):
        textus.merge([place / "m0", place / "m2"], tmp_path / "both")


def test_transformers_opens_what_lies_on_the_arc(place: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    found = textus.merge([place / "m0", place / "m2"], tmp_path / "arc", method="slerp", at=0.25)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "arc", dtype=torch.float32)
    tokens = torch.arange(8)[None]
    with torch.inference_mode():
        torch.testing.assert_close(theirs(tokens).logits, found.model.model(tokens).logits, rtol=1e-4, atol=1e-4)


def test_a_run_under_way_stands_for_its_checkpoints(place: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for step in (10, 2):
        shutil.copytree(place / f"m{step % 9}", training_state.path(run / "checkpoints", step))
    found = textus.merge([run], tmp_path / "mean", method="ema", decay=0.5)
    assert [part.directory.name for part in found.parts] == ["step-00000002", "step-00000010"]
    old, new = weights(place / "m2"), weights(place / "m1")
    for name, value in weights(tmp_path / "mean").items():
        torch.testing.assert_close(value, old[name] / 3 + new[name] * 2 / 3)


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["m0", "deeper"], {}, "deeper: its num_layers is 2, and that of .*m0 1"),
        (["m0", "otherwise"], {}, "otherwise: its vocabulary is not that of"),
        (["m0"], {}, "m0: one model, and 0 checkpoints in it"),
        (["m0", "m1", "m2"], {"method": "slerp"}, "an arc between 3 models"),
        (["m0", "m1"], {"method": "slerp", "at": 1.5}, "1.5 on the arc"),
        (["m0", "m1"], {"weights": (1, 2)}, "uniform has none"),
        (["m0", "nowhere"], {}, "nowhere"),
    ],
)
def test_what_cannot_be_merged_leaves_nothing(
    place: Path, tmp_path: Path, names: list[str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises((ConfigError, CheckpointError), match=words) as raised:
        textus.merge([place / name for name in names], tmp_path / "new", **options)
    assert raised.value.hint
    assert list(tmp_path.iterdir()) == []
