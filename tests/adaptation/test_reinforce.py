"""From prompts to a model that a check finds right more often: written, judged, stopped and resumed, refused."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.adaptation.job import Adapted
from textus.adaptation.rewards import exact, judged, number, reward_named, valid_json
from textus.adaptation.rollouts import asked
from textus.checkpoint.checkpoint import load_model
from textus.dataset.examples import Gathered
from textus.dataset.prompts import Prompts
from textus.errors import CheckpointError, ConfigError, CorpusError, InputError
from textus.objectives.objective import IGNORE
from textus.progress import Silent
from textus.training.run import Run

FAST: dict[str, Any] = {
    "training.steps": 6,
    "training.threads": 1,
    "training.checkpoint_every": 3,
    "training.evaluate_every": 3,
    "training.learning_rate": 3e-3,
    "prompts": 2,
    "group": 4,
    "answer_tokens": 6,
    "answers": 6,
    "data.validation_fraction": 0.25,
    "reward": "rewards.py:short",
}
OWN = """
def short(answer, record):
    return -float(len(answer.encode())) / record["scale"]

def nothing(answer, record):
    return float("nan")

def same(answer, record):
    return 0.25

def broken(answer, record):
    return record["no such key"]
"""


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model, prompts, and rewards of one's own."""
    folder = tmp_path_factory.mktemp("grpo")
    shutil.copytree(trained / "runs" / "first", folder / "base")
    rows = [{"prompt": f"{n} + 1?", "answer": n + 1, "scale": 4} for n in range(24)]
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "rewards.py").write_text(OWN)
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    monkeypatch.chdir(place)
    return place


def grpo(out: Path, **changes: Any) -> Adapted:
    return textus.adapt("base", "sums.jsonl", method="grpo", out=out, settings={**FAST, **changes})


def weights(directory: Path) -> bytes:
    return (directory / "model.safetensors").read_bytes()


def test_it_tells_of_rewards_before_and_after(here: Path, tmp_path: Path) -> None:
    found = grpo(tmp_path / "out")
    told = found.as_dict()
    assert [score["name"] for score in told["scores"]] == ["reward", "end_rate", "answer_tokens"]
    assert all(score["error"] >= 0 for score in told["scores"])
    assert len(told["rounds"]) == 6
    kept = json.loads(max((tmp_path / "out" / "rollouts").glob("*.json")).read_text())
    for row in kept["rows"].values():
        assert len(row["texts"]) == len(row["rewards"]) == 4
        assert row["rewards"] == [-len(text.encode()) / 4 for text in row["texts"]]
    values = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert len(values["eos_token_id"]) == 2
    assert "before" in found.report.text() and "mean reward" in found.report.text()


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_run_that_is_stopped_ends_at_the_same_weights(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iterations: int
) -> None:
    changes = {"iterations": iterations, "training.steps": 5, "training.checkpoint_every": 1}
    grpo(tmp_path / "straight", **changes)
    usual = Run._sitting

    class Stop(Exception):
        pass

    def stops(run: Run, state: Any, log: Any, task: Any, saver: Any) -> None:
        def at(step: Any) -> None:
            if step.number == 3:  # what is saved is of step 2, in the middle of a round
                raise Stop

        run.on_step = at
        usual(run, state, log, task, saver)

    monkeypatch.setattr(Run, "_sitting", stops)
    with pytest.raises(Stop):
        grpo(tmp_path / "stopped", **changes)
    monkeypatch.setattr(Run, "_sitting", usual)
    if iterations > 1:
        shutil.copytree(tmp_path / "stopped", tmp_path / "robbed")
        shutil.rmtree(tmp_path / "robbed" / "rollouts")
        with pytest.raises(CheckpointError, match="the answers that this step learns from are not there"):
            grpo(tmp_path / "robbed", **changes)
    grpo(tmp_path / "stopped", **changes)
    assert weights(tmp_path / "stopped") == weights(tmp_path / "straight")


def test_an_adapter_learns_from_rewards_too(here: Path, tmp_path: Path) -> None:
    found = grpo(tmp_path / "thin", **{"lora.rank": 2, "training.steps": 2, "reward": "json"})
    assert (tmp_path / "thin" / "adapter" / "adapter_config.json").is_file()
    assert found.scores[0].name == "accuracy"


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_where_all_answers_are_worth_the_same_it_is_said_once_and_nothing_changes(here: Path, tmp_path: Path) -> None:
    heard, changes = Heard(), {"reward": "rewards.py:same", "beta": 0.0, "training.weight_decay": 0.0}
    settings = {**FAST, **changes, "training.steps": 7}
    found = textus.adapt("base", "sums.jsonl", method="grpo", out=tmp_path / "out", settings=settings, progress=heard)
    (said,) = [text for text in heard.said if "nothing to learn" in text]
    assert said.startswith("in 5 rounds") and "(their mean is 0.25)" in said and "hint: " in said
    assert "Nothing was learnt" in found.report.text() and "in 7 rounds" in found.report.text()
    before, after = (load_model(directory).state_dict() for directory in (Path("base"), tmp_path / "out"))
    assert all(torch.equal(before[name], value) for name, value in after.items() if name.startswith("blocks"))


def test_rewards_are_what_they_say() -> None:
    for text, answer, worth in (("7", 7, 1), ("x -7.0", "-7", 1), ("1,000", "1000", 1), ("7 8", "7", 0), ("", 1, 0)):
        assert number(text, {"answer": answer}) == worth
    assert (exact(" a b\n", {"answer": "a b"}), exact("a", {"answer": "b"})) == (1, 0)
    for text, keys, worth in (("{}", [], 1), ("[1]", [], 1), ("[1]", ["a"], 0), ('{"a": 1}', ["a"], 1), ("{", [], 0)):
        assert valid_json(text, {"keys": keys}) == worth


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nmber", "no reward `nmber`"),
        ("rewards.py:none", "has no function `none`"),
        ("nowhere.py:f", "nowhere.py cannot be loaded"),
        ("no_such_module:f", "no_such_module cannot be loaded"),
    ],
)
def test_a_reward_that_is_not_there_is_named(here: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        reward_named(name)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("name", "words"), [("nothing", "is nan, and must be a finite number"), ("broken", "failed with KeyError")]
)
def test_a_reward_that_is_no_number_names_the_prompt(here: Path, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"sums.jsonl:\d+: reward rewards.py:{name} {words}") as raised:
        grpo(tmp_path / "out", reward=f"rewards.py:{name}")
    assert "the answer was" in raised.value.hint
    assert judged(lambda text, record: 2, "two", "", {}, "") == 2.0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "", "answer": 1}, "no prompt in it"),
        ({"prompt": "a"}, "no `answer`, by which an answer is judged"),
        ({"prompt": [{"role": "assistant", "content": "a"}], "answer": 1}, "the last message is of `assistant`"),
    ],
)
def test_a_faulty_prompt_is_named(here: Path, tmp_path: Path, row: dict[str, Any], words: str) -> None:
    (tmp_path / "faulty.jsonl").write_text(json.dumps(row))
    settings = {**FAST, "reward": "number"}
    with pytest.raises(InputError, match=f"faulty.jsonl:1: {words}") as raised:
        textus.adapt("base", tmp_path / "faulty.jsonl", method="grpo", out=tmp_path / "out", settings=settings)
    assert raised.value.hint
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_prompts_that_leave_no_room_and_batches_by_tokens_are_refused(here: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no prompt to answer: 24 leave no room"):
        grpo(tmp_path / "out", answer_tokens=60)
    with pytest.raises(ConfigError, match="say nothing about prompts"):
        grpo(tmp_path / "out", **{"training.batch_tokens": 512})


def prompts(count: int, **options: Any) -> Prompts:
    gathered = Gathered(300)
    for one in range(count):
        gathered.add([1] * (one % 3) + [one + 10], [False] * (one % 3 + 1))
    return Prompts(gathered.examples("train"), 16, 7, **options)


def test_each_prompt_is_shown_once_an_epoch_and_steps_of_a_round_show_the_same() -> None:
    plain, twice = prompts(6, rows_per_step=2), prompts(6, rows_per_step=2, times=2)
    for epoch in range(2):
        assert sorted(plain.example(6 * epoch + at) for at in range(6)) == list(range(6))
    for first in range(0, 24, 4):
        shown = [twice.example(first + at) for at in range(4)]
        assert shown[:2] == shown[2:] == [plain.example(first // 2 + at) for at in range(2)]
    window = twice.rows([0, 5, 9])
    assert not window.predict.any() and window.origin is not None
    assert window.origin.numbers.tolist() == [0, 5, 9]
    assert window.tokens[1][: len(twice.tokens(5))].tolist() == twice.tokens(5)


def test_answers_are_asked_token_by_token() -> None:
    draw = random.Random(3)
    both = [([draw.randrange(9) for _ in range(draw.randint(1, 4))] for _ in range(3)) for _ in range(2)]
    heads, tails = map(list, both)
    batch = asked(heads, tails)
    for row, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        labels = batch.labels[row]
        assert labels[labels != IGNORE].tolist() == tail
        assert batch.tokens[row, : len(head) + len(tail) - 1].tolist() == [*head, *tail][:-1]
        assert (labels != IGNORE).nonzero().flatten()[0] == len(head) - 1
