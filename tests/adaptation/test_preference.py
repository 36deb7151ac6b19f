"""From pairs of answers to a model that prefers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import textus
from textus.adaptation.preference import scores
from textus.adaptation.unpaired import scores as unpaired_scores
from textus.dataset.examples import Gathered
from textus.dataset.packing import Packed
from textus.errors import ConfigError, CorpusError, InputError

FAST: dict[str, Any] = {
    "training.steps": 4,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.evaluate_every": 4,
    "training.learning_rate": 3e-3,
    "data.validation_fraction": 0.25,
}


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preference")
    shutil.copytree(trained / "runs" / "first", folder / "base")
    pairs = [{"prompt": f"{n}?", "chosen": "yes", "rejected": f"no {n % 3}"} for n in range(40)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    return folder


def values(found: list[dict[str, Any]]) -> dict[str, float]:
    return {score["name"]: score["value"] for score in found}


@pytest.mark.parametrize(("loss", "rank"), [("dpo", 4), ("simpo", 0)])
def test_the_chosen_answer_gains(loss: str, rank: int, place: Path, tmp_path: Path, one_thread: None) -> None:
    settings = {**FAST, "loss": loss, "lora.rank": rank, "lora.targets": "attention"}
    found = textus.adapt(place / "base", place / "pairs.jsonl", method="preference", out=tmp_path, settings=settings)
    told = found.as_dict()
    before, after = values(told["before"]), values(told["scores"])
    assert (before["win_rate"], before["reward_margin"]) == (0.5, 0.0)
    assert after["win_rate"] == 1.0 and after["reward_margin"] > 0.1
    examples = told["examples"]
    assert (examples["pairs"], examples["longer_chosen"], examples["too_long"]) == (40, 0, 0)
    assert examples["chosen_tokens"] < examples["rejected_tokens"]
    assert (tmp_path / "reference.json").exists() == (loss == "dpo")
    assert (tmp_path / "adapter" / "adapter_config.json").exists() == bool(rank)
    record = json.loads((tmp_path / "training.json").read_text())
    if loss == "dpo":
        first = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
        assert first["loss"] == pytest.approx(np.log(2), abs=1e-4)  # at first it is the reference itself
    assert record["identity"]["objective"]["kind"] == loss
    # a second call opens what is there
    again = textus.adapt(place / "base", place / "pairs.jsonl", method="preference", out=tmp_path, settings=settings)
    assert again.as_dict() == told
    assert "another document" in textus.inspect(tmp_path, window=0).text()
    base, now = (textus.load(one).model.state_dict() for one in (place / "base", tmp_path))
    moved = {
        name.split(".")[2] for name in base if name.startswith("blocks") and not torch.equal(base[name], now[name])
    }
    assert (moved == {"attention"}) == bool(rank)


def test_a_tie_is_half_a_win() -> None:
    gathered = Gathered(9)
    for _ in range(6):
        gathered.add([1, 2, 3], [False, True, True])
    pairs = Packed(gathered.examples("validation"), 8, seed=1, together=2)
    reference, counts = np.zeros(6), np.full(6, 2)
    found = {score.name: score for score in scores(np.array([-1, -3, -2, -2, -4, -2.0]), reference, counts, pairs)}
    assert found["win_rate"].value == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["reward_margin"].value == pytest.approx((2 + 0 - 2) / 3)
    assert found["chosen_logprob"].value == pytest.approx(-7 / 6)
    assert found["win_rate"].error == pytest.approx(0.5 / np.sqrt(3))


@pytest.mark.parametrize(
    ("pair", "kind", "words"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, InputError, r"bad.jsonl:1: `chosen` is equal to `rejected`"),
        ({"prompt": "a" * 400, "chosen": "b", "rejected": "c"}, CorpusError, "no pair to learn from: half the context"),
        ({"prompt": "a", "chosen": "b" * 99 + "c", "rejected": "b" * 99 + "d"}, CorpusError, "no pair to learn from"),
        ({"messages": []}, InputError, "no pair: its keys are messages"),
    ],
)
def test_what_tells_of_no_preference_is_refused(
    pair: dict[str, Any], kind: type[Exception], words: str, place: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.jsonl").write_text(json.dumps(pair))
    with pytest.raises(kind, match=words):
        textus.adapt(place / "base", "bad.jsonl", method="preference", out="out", settings=FAST)


def labelled(count: int = 40) -> str:
    rows = [
        {"prompt": f"{n}?", "completion": "yes" if n % 2 else f"no {n % 3}", "label": bool(n % 2)} for n in range(count)
    ]
    return "\n".join(map(json.dumps, rows))


def test_answers_with_a_label_are_told_apart(place: Path, tmp_path: Path, one_thread: None) -> None:
    (tmp_path / "labels.jsonl").write_text(labelled())
    settings = {**FAST, "loss": "kto", "training.steps": 8}
    found = textus.adapt(
        place / "base", tmp_path / "labels.jsonl", method="preference", out=tmp_path / "out", settings=settings
    )
    told = found.as_dict()
    before, after = values(told["before"]), values(told["scores"])
    assert (before["told_apart"], before["good_gain"], before["bad_gain"]) == (0.5, 0.0, 0.0)
    assert after["told_apart"] > 0.9 and after["good_gain"] > after["bad_gain"]
    assert (told["examples"]["answers"], told["examples"]["good_answers"]) == (40, 20)
    first = json.loads((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(0.5, abs=1e-4)  # at first it is the reference itself
    again = textus.adapt(
        place / "base", tmp_path / "labels.jsonl", method="preference", out=tmp_path / "out", settings=settings
    )
    assert again.as_dict() == told


@pytest.mark.parametrize(
    ("text", "loss", "kind", "words"),
    [
        (labelled(), "dpo", ConfigError, "an answer with a label, and loss=dpo learns from pairs"),
        (labelled().replace("false", "true"), "kto", CorpusError, "all answers have the same label"),
        (labelled().replace("false", '"bad"'), "kto", InputError, "`label` is 'bad', neither true nor false"),
    ],
)
def test_answers_that_teach_nothing_are_refused(
    place: Path, tmp_path: Path, text: str, loss: str, kind: type[Exception], words: str
) -> None:
    (tmp_path / "labels.jsonl").write_text(text)
    settings = {**FAST, "loss": loss}
    with pytest.raises(kind, match=words):
        textus.adapt(
            place / "base", tmp_path / "labels.jsonl", method="preference", out=tmp_path / "out", settings=settings
        )


def test_telling_apart_is_the_share_of_pairs_that_are_won() -> None:
    gathered = Gathered(9)
    for _ in range(8):
        gathered.add([1, 2], [False, True])
    packed = Packed(gathered.examples("validation"), 4, 0, together=2)
    gain = np.array([3.0, 1.0, 2.0, 1.0])
    found = unpaired_scores(np.repeat(gain, 2), np.zeros(8), np.array([True, False, False, True]), packed)
    wanted = [(3, 1), (3, 2), (1, 1), (1, 2)]
    assert found[0].value == sum(1.0 if up > down else 0.5 if up == down else 0.0 for up, down in wanted) / 4
    assert (found[1].value, found[2].value) == (2.0, 1.5)
