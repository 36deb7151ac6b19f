"""From examples to a model that labels texts, whole."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.adaptation import baselines, trials
from textus.adaptation.job import Adapted
from textus.config import replace
from textus.errors import InputError
from textus.training.loop import Step
from textus.training.run import Run


@dataclass
class Done:
    """One adaptation, and what it was made from."""

    adapted: Adapted
    again: Callable[..., Adapted]


@pytest.fixture(scope="module")
def done(starts: dict[str, Path], films: Any, tmp_path_factory: pytest.TempPathFactory) -> Done:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("classify")
    for name, count, seed in (("train", 56, 1), ("test", 24, 2)):
        rows = films(count, seed)
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = {
        "training.epochs": 3,
        "training.seeds": 2,
        "training.batch_size": 8,
        "training.learning_rates": [1e-6, 3e-3],
        "training.precision": "fp32",
        "training.device": "cpu",
        "training.threads": 1,
        "training.dropout": 0.0,
        "beside.random_init": False,
        "data.test": [str(folder / "test.jsonl")],
    }

    def again(out: str = "out", **changes: Any) -> Adapted:
        asked = settings | {name.replace("__", "."): value for name, value in changes.items()}
        return textus.adapt(
            starts["encoder"], folder / "train.jsonl", method="classify", out=folder / out, settings=asked
        )

    made = Done(again(), again)
    torch.set_num_threads(before)
    return made


def row(adapted: Adapted, name: str) -> dict[str, Any]:
    (found,) = (one for one in adapted.facts["rows"] if one["name"] == name)
    return dict(found)


def test_what_can_be_learnt_is_learnt_and_stands_beside_simpler_ways(done: Done) -> None:
    scores = {score.name: score for score in done.adapted.scores}
    assert set(scores) == {"accuracy", "macro_f1", "mcc", "f1"}
    assert scores["accuracy"].value > 0.9
    commonest = row(done.adapted, "the commonest answer")
    assert commonest["measures"]["accuracy"]["value"] == 0.5 and commonest["seeds"] == 0
    assert 0.05 < commonest["measures"]["accuracy"]["error"] < 0.15
    assert row(done.adapted, "TF-IDF and logistic regression")["measures"]["accuracy"]["value"] > 0.9
    seeds = row(done.adapted, "2 seeds, the median")
    assert seeds["low"] <= seeds["measures"]["accuracy"]["value"] <= seeds["high"]


def test_rate_and_epoch_are_chosen_without_the_test_examples(done: Done) -> None:
    facts = done.adapted.facts
    assert facts["learning_rate"] == 3e-3
    rates = {trial["learning_rate"]: trial["error"] for trial in facts["learning_rates"]}
    assert rates[3e-3] < rates[1e-6]
    assert facts["examples"] == {"train": 49, "choice": 5, "test": 24, "left_out": 2}
    assert 0 < facts["epoch"] <= 3


def test_the_same_again_is_opened_and_not_learnt(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "Run", None)
    assert done.again().as_dict() == done.adapted.as_dict()
    assert not (done.adapted.directory / "trials").exists()


def test_the_directory_tells_of_itself(done: Done) -> None:
    opened = textus.load(done.adapted.directory)
    assert opened.provenance["settings"]["task"]["labels"] == ["0", "1"]
    assert len(opened.provenance["parent"]) == 64
    text = done.adapted.report.text()
    assert "commonest answer" in text and "never by those that measure" in text and "F1 is of the label '1'" in text
    assert json.loads((done.adapted.directory / "report.json").read_text())["sections"]
    assert (done.adapted.directory / "adapt.toml").is_file()


def test_texts_are_labelled_as_transformers_does(done: Done) -> None:
    transformers = pytest.importorskip("transformers")
    texts = ["b bad film 1", "c zzz film 22"]
    found = textus.label(done.adapted.directory, texts, top_k=1)
    assert [one.answers[0][0].label for one in found] == ["0", "1"]
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        done.adapted.directory, dtype=torch.float32
    ).eval()
    batch = transformers.AutoTokenizer.from_pretrained(done.adapted.directory)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        chances = theirs(batch.input_ids, batch.attention_mask).logits.softmax(1).max(1)
    for one, value, number in zip(found, chances.values.tolist(), chances.indices.tolist(), strict=True):
        assert one.answers[0][0].probability == pytest.approx(value, abs=1e-5)
        assert theirs.config.id2label[number] == one.answers[0][0].label


class Stop(Exception):
    """Ends a run between two steps, as a kill would."""


def test_what_was_stopped_goes_on_to_the_same_weights(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"training__seeds": 1, "training__learning_rates": [3e-3]}
    whole = done.again("whole", **few)

    def stop(step: Step) -> None:
        if step.number == 9:
            raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(trials, "Run", functools.partial(Run, on_step=stop))
        with pytest.raises(Stop):
            done.again("stopped", **few)
    assert (whole.directory.parent / "stopped" / "trials").is_dir()
    resumed = done.again("stopped", **few)
    weights = [one.directory / "model.safetensors" for one in (whole, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert {**resumed.as_dict(), "directory": "", "trials": [], "learning_rates": []} == {
        **whole.as_dict(),
        "directory": "",
        "trials": [],
        "learning_rates": [],
    }
    for one in (whole, resumed):
        shutil.rmtree(one.directory)


def test_without_scikit_learn_the_report_says_so(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    quick = {"training__seeds": 1, "training__epochs": 1, "training__learning_rates": [3e-3]}
    found = done.again("absent", **quick)
    assert any("scikit-learn is not installed" in note for note in found.facts["notes"])
    assert [one["name"] for one in found.facts["rows"]] == ["this model", "the commonest answer"]


def test_pairs_and_several_labels(starts: dict[str, Path], tmp_path: Path, write: Any, small: dict[str, Any]) -> None:
    words = ["wool", "loom", "red"]
    rows = [
        {"a": f"{number} " + " ".join(held), "b": "x", "labels": held}
        for number in range(32)
        for held in ([word for place, word in enumerate(words) if number >> place & 1],)
    ]
    changes = {"data.text": "a", "data.pair": "b", "data.label": "labels", "training.seeds": 1, "training.epochs": 1}
    changes |= {"beside.random_init": True}
    found = textus.adapt(
        starts["causal"], write("a.jsonl", rows), method="classify", out=tmp_path / "o", settings=small | changes
    )
    assert [score.name for score in found.scores] == ["exact_match", "micro_f1", "macro_f1"]
    assert row(found, "from random weights")["seeds"] == 1
    (one,) = textus.label(found.directory, [("7 wool", "x")])
    assert sorted(answer.label for answer in one.answers[0]) == sorted(words)
    assert all(0 < answer.probability < 1 for answer in one.answers[0])
    with pytest.raises(InputError, match="text 1: this model takes two texts each"):
        textus.label(found.directory, ["alone"])


def test_settings_given_whole_are_the_same_as_changes(small: dict[str, Any]) -> None:
    from textus.adaptation.config import ClassifySettings

    assert replace(ClassifySettings(), small).training.epochs == 3
