"""Real processes that are killed at random moments come to the same run as one that is left alone, bit for bit."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics
from signal import SIGINT, SIGKILL, SIGTERM, Signals
from typing import Any

import pytest

STEPS = 40
SETTINGS: dict[str, Any] = {
    "training.steps": STEPS,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.evaluate_every": 13,
    "training.evaluate_tokens": 512,
    "training.checkpoint_every": 7,
    "model.context_length": 64,
    "model.num_layers": 1,
    "model.hidden_size": 32,
    "model.dropout": 0.1,
    "sampling.max_tokens": 8,
}
PLACES = {
    "the corpus": "/.partial-corpus-",
    "the corpus's work": "/corpus.work/",
    "the tokenizer": "/.partial-tokenizer-",
    "the shards": "/.partial-shards-",
    "the plan": "/.partial-plan.json-",
    "a checkpoint": "/checkpoints/.partial-step-",
    "a checkpoint that is let go": "/checkpoints/.discarded-",
    "the model": "/.incoming",
    "the measures": "/.partial-measures.json-",
    "the report": "/.partial-report.html-",
}
"""A part of the path of what is at work, by what that is."""
PUBLISHED = ("the corpus's work", "the plan", "the model", "the measures")
"""What is done for good before its last operation: whoever was stopped then has nothing to do there again."""
EXIT_CODE = {SIGKILL: -SIGKILL, SIGINT: 130, SIGTERM: 143}
PATIENCE = 600.0


def write_texts(folder: Path) -> None:
    folder.mkdir()
    for name in sorted(topics)[:20]:
        (folder / f"{name}.txt").write_text(topics[name], "utf-8")


@pytest.fixture(scope="module")
def straight(workshop: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of the command, typed once and left alone."""
    run = tmp_path_factory.mktemp("straight") / "run"
    subprocess.run([sys.executable, "-m", "textus", *workshop.command(run)], check=True, capture_output=True)
    return workshop.outcome(run)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def rehearsed(workshop: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, Any]]:
    """All that a run in one sitting does to its files up to its end, and what comes of it, optimizer and all."""
    folder = tmp_path_factory.mktemp("rehearsed")
    sitting = workshop.begin(folder / "once")
    assert sitting.end() == 0, sitting.words
    return sitting.operations, workshop.finish(folder / "run")


def assert_same(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Hold what is known of one run against another's; where a run was whole, its last checkpoint is gone."""
    assert mine["names"] == theirs["names"]
    for name in mine.keys() & theirs.keys():
        assert mine[name] == theirs[name], name


def metrics(run: Path) -> int:
    """How many steps a run has told of so far."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def interrupt(workshop: Any, run: Path, at: int, number: Signals) -> bool:
    """Send a signal once step `at` is seen; tell whether it came in time, which a busy machine may prevent."""
    sitting = workshop.begin(run)
    until = time.monotonic() + PATIENCE
    while not sitting.operations or metrics(run) < at:
        assert time.monotonic() < until, sitting.words
        time.sleep(0.001)
    os.kill(sitting.process, number)
    code, done = sitting.end(), metrics(run)
    assert code in (0, EXIT_CODE[number]), sitting.words
    if number == SIGKILL:
        return code != 0 and at <= done < STEPS
    return f"error: stopped after step {done} of {STEPS}; checkpoint saved" in sitting.words


def test_an_uninterrupted_run_is_the_same_in_a_process_of_its_own_and_in_a_fork(
    straight: dict[str, Any], rehearsed: tuple[list[str], dict[str, Any]]
) -> None:
    assert_same(rehearsed[1], straight)
    losses = [line["loss"] for line in straight["metrics"]]
    assert len(losses) == STEPS
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("number", EXIT_CODE, ids=lambda number: number.name)
def test_a_run_that_is_stopped_at_random_steps_is_the_same(
    workshop: Any, rehearsed: tuple[list[str], dict[str, Any]], tmp_path: Path, number: Signals
) -> None:
    draw = random.Random(int(number))
    for attempt in range(10):
        run = tmp_path / f"run{attempt}"
        in_time = [interrupt(workshop, run, at, number) for at in sorted(draw.sample(range(1, STEPS - 10), 2))]
        assert_same(workshop.finish(run), rehearsed[1])
        if all(in_time):
            return
    pytest.fail("no signal came in time in ten attempts")


@pytest.mark.parametrize("what", PLACES)
def test_a_run_that_is_stopped_while_it_writes_is_the_same(
    workshop: Any, rehearsed: tuple[list[str], dict[str, Any]], tmp_path: Path, what: str
) -> None:
    operations, whole = rehearsed
    place = re.escape(PLACES[what])
    count = len([operation for operation in operations if re.search(place, operation)])
    assert count, "nothing is made there, or under another name"
    run, draw = tmp_path / "run", random.Random(what)
    most = count // 2 if "checkpoint" in what else count  # those that are left are saved by the next process
    assert workshop.begin(run, place, draw.randint(1, most), SIGKILL).end() == -SIGKILL
    number = draw.choice([SIGINT, SIGTERM])
    sitting = workshop.begin(run, place, 1, number)
    assert sitting.end() in ({EXIT_CODE[number], 0} if what in PUBLISHED else {EXIT_CODE[number]}), sitting.words
    sitting = workshop.begin(run)
    assert sitting.end() == 0, sitting.words
    assert_same(workshop.outcome(run), whole)
