"""Tasks as they are typed, what training has of them, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.cli.main import main
from textus.errors import ConfigError, InputError

RUN = Path("runs/first")
LINES = [{"context": f"number {n} is", "choices": ["even", "odd"], "gold": n % 2} for n in range(6)]


@pytest.fixture
def mine(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "mine", ignore=shutil.ignore_patterns("*.grams*")))
    write(LINES)
    return RUN


def write(lines: list[dict[str, Any]], name: str = "task.jsonl") -> None:
    Path(name).write_text("\n".join(map(json.dumps, lines)))


def test_tasks_are_measured_as_they_are_typed(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(mine), "--task", "task.jsonl", "--shots", "2", "task.between=|", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (task,) = told["tasks"]
    assert {"scores", "tokens", "bytes", "seconds"} <= told.keys()
    assert (task["task"], task["kind"], task["items"], task["shots"], task["method"]) == (
        "task",
        "choice",
        4,
        2,
        "causal",
    )
    assert [score["name"] for score in told["scores"]] == ["accuracy", "accuracy_per_byte", "accuracy_per_token"]
    found = textus.evaluate(mine, tasks="task.jsonl", task_settings={"shots": 2, "between": "|"})
    assert [score.as_dict() for score in found.scores] == told["scores"]
    assert {"task", "method", "tokenizer", "data"} <= told["scores"][0].keys()
    assert main(["evaluate", str(mine), "--task", "task.jsonl"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"task: ours, 6 items, 0 examples, by causal, prompt 1\n  accuracy \d\S* ± \d\S* of items", out)
    assert "(chance 0.5)" in out and "training has 0 of 6 items (6 of fewer than 8 words were not looked for)" in out


def test_texts_are_measured_beside_tasks_where_they_are_named(mine: Path) -> None:
    both = textus.evaluate(mine, "other_texts", tasks=["task.jsonl", "task.jsonl"])
    texts = textus.evaluate(mine, "other_texts")
    assert both.scores[: len(texts.scores)] == texts.scores
    assert [score.name for score in both.scores[len(texts.scores) :]].count("accuracy") == 2
    assert both.tokens > texts.tokens and both.contamination == texts.contamination
    assert not any(score.name == "loss" for score in textus.evaluate(mine, tasks="task.jsonl").scores)


def test_items_that_training_has_are_found_and_the_others_scored_alone(mine: Path) -> None:
    known = next(document.text for document in textus.Corpus.open(mine / "corpus").documents("train"))
    words = known.split()
    long, short = " ".join(words[10:26]), " ".join(words[60:70])
    clean = [{"good": f"{n} looms wove purple velvet for nobody in the town at night", "bad": "x"} for n in range(4)]
    write([*clean, {"good": long, "bad": "y"}, {"good": short, "bad": "z"}, {"good": "too short", "bad": "w"}])
    found: Any = textus.evaluate(mine, tasks="task.jsonl", too_long="cut")
    overlap = found.tasks[0].overlap
    assert (overlap.items, overlap.not_looked_for, overlap.clean_items) == (2, 1, 5)
    write([*clean, {"good": "too short", "bad": "w"}])
    alone: Any = textus.evaluate(mine, tasks="task.jsonl", too_long="cut")
    assert [score.value for score in overlap.clean] == pytest.approx([score.value for score in alone.scores])
    assert "training has 2 of 7 items" in "\n".join(found.lines())
    assert (mine / "corpus.grams").exists() and (mine / "corpus.grams-short").exists()


def test_a_set_that_is_all_known_measures_memory_and_nobody_has_to_look(mine: Path) -> None:
    words = next(document.text for document in textus.Corpus.open(mine / "corpus").documents("train")).split()
    write([{"good": " ".join(words[n : n + 20]), "bad": "x"} for n in (0, 20)])
    found: Any = textus.evaluate(mine, tasks="task.jsonl", too_long="cut")
    assert found.tasks[0].overlap.clean == () and "this measures memory" in "\n".join(found.lines())
    blind: Any = textus.evaluate(mine, tasks="task.jsonl", too_long="cut", look_in_training=False)
    assert blind.tasks[0].overlap is None and blind.scores == found.scores


def test_a_hybrid_is_asked_both_ways_and_an_encoder_one(both_ways: Path, tmp_path: Path, one_thread: None) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"good": f"a class {n}", "bad": f"class a {n}"}) for n in range(3)))
    ways = {
        name: [result.method for result in textus.evaluate(both_ways / "runs" / name, tasks=path).tasks]  # type: ignore[attr-defined]
        for name in ("hybrid", "masked")
    }
    assert ways == {"hybrid": ["causal", "word-l2r"], "masked": ["word-l2r"]}
    one: Any = textus.evaluate(both_ways / "runs" / "hybrid", tasks=path, scoring="original")
    assert [result.method for result in one.tasks] == ["original"]
    with pytest.raises(ConfigError, match="no log-likelihood from left to right"):
        textus.evaluate(both_ways / "runs" / "masked", tasks=path, scoring="causal")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["evaluate", *words]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("error: ") == told.err.count("hint: ") == 1
    return told.err


def test_what_is_wrong_is_said_in_one_sentence(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(mine)
    write([])
    assert "task.jsonl: no item in it" in refused(capsys, run, "--task", "task.jsonl")
    write([*LINES, {"context": "a", "choices": ["b", "c"], "gold": 5}])
    assert "task.jsonl:7: `gold` is 5" in refused(capsys, run, "--task", "task.jsonl")
    write([{"good": "word " * 200, "bad": "x"}])
    assert "the model reads at most 64" in refused(capsys, run, "--task", "task.jsonl")
    assert "no such file" in refused(capsys, run, "--task", "nowhere.jsonl")
    assert "settings of tasks were given, and no task" in refused(capsys, run, "--shots", "2")
    assert "no setting `shot`" in refused(capsys, run, "--task", "task.jsonl", "task.shot=2")
    write(LINES)
    (mine / "tokenizer.json").unlink()
    assert "tokenizer.json" in refused(capsys, run, "--task", "task.jsonl")


def test_a_model_that_is_half_there_is_named(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = mine / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors" in refused(capsys, str(mine), "--task", "task.jsonl")


def test_a_task_is_looked_through_before_any_is_asked(mine: Path) -> None:
    write(LINES, "good.jsonl")
    write([LINES[0]] * 3)
    with pytest.raises(InputError, match="the right answer of all 3 items is 0"):
        textus.evaluate(mine, tasks=["good.jsonl", "task.jsonl"])
