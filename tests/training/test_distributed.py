"""Real processes that train one model together come to what one process comes to, and end together."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load_model
from textus.errors import ConfigError
from textus.training.distributed import Ranks, launched

PARALLEL = ["ddp", "fsdp"]
SELDOM = {"evaluate_every": 6, "checkpoint_every": 6}
CLOSE = 2e-4
"""How far sums in another order may carry a loss or a weight in a dozen steps."""


class Crowd:
    """Forks the processes of a job, waits for all of them, and reads what they have found."""

    def __init__(self, shards: Path) -> None:
        self._folder = str(shards.parent)
        program = Path(__file__).with_name("scenarios.py")
        self._master = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.codes: list[int] = []
        self.words: list[str] = []

    def job(self, name: str, out: Path, world: int, **given: Any) -> list[dict[str, Any]]:
        """Return what each process has found; nothing of one that was killed."""
        assert self._master.stdin is not None and self._master.stdout is not None
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("*.json"):
            old.unlink()
        self._master.stdin.write(json.dumps({"name": name, "out": str(out), "world": world, "given": given}) + "\n")
        self._master.stdin.flush()
        self.codes = json.loads(self._master.stdout.readline())
        self.words = [(out / f"{rank}.err").read_text() for rank in range(world)]
        files = [out / f"{rank}.json" for rank in range(world)]
        found = [json.loads(file.read_text()) if file.exists() else {} for file in files]
        assert all(each.get("error") != "unexpected" for each in found), [*found, *self.words]
        return found

    def train(self, directory: Path, world: int, **given: Any) -> list[dict[str, Any]]:
        given = {"folder": self._folder, "directory": str(directory / "run"), **SELDOM, **given}
        return self.job("train", directory / "told", world, **given)

    def close(self) -> None:
        self._master.communicate()


@pytest.fixture(scope="module")
def crowd(bench: Any) -> Iterator[Crowd]:
    if sys.platform == "win32":
        pytest.skip("no fork here")
    opened = Crowd(bench.shards.directory)
    yield opened
    opened.close()


class Outcome:
    """What a run has left in its directory."""

    def __init__(self, directory: Path, step: int = 12) -> None:
        run = directory / "run"
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        self.losses = [line["loss"] for line in lines]
        self.validation = [line["validation_loss"] for line in lines if "validation_loss" in line]
        self.tokens = [line["tokens"] for line in lines]
        self.norms = [line["gradient_norm"] for line in lines]
        self.last = training_state.path(run / "checkpoints", step)
        self.weights = load_file(self.last / "model.safetensors")
        files = sorted((self.last / training_state.FOLDER).rglob("*.safetensors"))
        self.state = {f"{file.name}/{name}": tensor for file in files for name, tensor in load_file(file).items()}

    def assert_near(self, other: Outcome) -> None:
        """As equal as sums in another order can be."""
        assert self.tokens == other.tokens
        for name in ("losses", "validation", "norms"):
            mine, theirs = torch.tensor(getattr(self, name)), torch.tensor(getattr(other, name))
            torch.testing.assert_close(mine, theirs, rtol=CLOSE, atol=CLOSE, msg=lambda words, n=name: f"{n}: {words}")
        for name, value in other.weights.items():
            torch.testing.assert_close(self.weights[name], value, rtol=0, atol=CLOSE, msg=lambda w, n=name: f"{n}: {w}")

    def assert_same(self, other: Outcome) -> None:
        """Equal to the last bit."""
        assert (self.losses, self.validation, self.norms) == (other.losses, other.validation, other.norms)
        for mine, theirs in ((self.weights, other.weights), (self.state, other.state)):
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(mine[name], value) for name, value in theirs.items())


CASES: dict[str, dict[str, Any]] = {
    "adamw": {"micro_batch_tokens": 3 * 16},
    "muon": {"optimizer": "muon", "model": {"tied_embeddings": False}},
    "sparse": {"objective": "sparse", "micro_batch_tokens": 16, "gradient_clip": 0.5},
    "knobs": {"z_loss": 1e-3, "batch_ramp": 0.5, "weight_decay_schedule": "linear", "recompute": "blocks"},
    "more knobs": {"ema": 0.8, "future_tokens": 2, "micro_batch_tokens": 3 * 16, "checkpoint_every": 1},
}


@pytest.fixture(scope="module")
def alone(crowd: Crowd, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What one process comes to."""
    found = {}
    for name, settings in CASES.items():
        directory = tmp_path_factory.mktemp("alone")
        (told,) = crowd.train(directory, 1, **settings)
        assert told["step"] == 12, told
        found[name] = Outcome(directory)
    return found


@pytest.mark.parametrize(
    ("case", "parallel", "world"),
    [
        ("adamw", "ddp", 2),
        ("muon", "fsdp", 3),
        ("sparse", "ddp", 4),
        ("sparse", "fsdp", 2),
        ("knobs", "ddp", 2),
        ("knobs", "fsdp", 2),
        ("more knobs", "ddp", 2),
    ],
)
def test_several_processes_learn_what_one_does(
    crowd: Crowd, alone: dict[str, Outcome], tmp_path: Path, case: str, parallel: str, world: int
) -> None:
    found = crowd.train(tmp_path, world, parallel=parallel, **CASES[case])
    assert [each.get("step") for each in found] == [12] * world, found
    mine = Outcome(tmp_path)
    mine.assert_near(alone[case])
    assert mine.losses != alone[case].losses or case == "sparse", "they add up in another order"
    assert load_model(mine.last).config.num_layers == 2  # a plain model directory


def test_what_cannot_be_spread_is_refused(crowd: Crowd, tmp_path: Path) -> None:
    found = crowd.train(tmp_path, 2, parallel="fsdp", ema=0.9)
    assert "ConfigError" in {each["error"] for each in found}
    assert all("it spreads no averages of weights" in each["message"] for each in found)


@pytest.mark.parametrize("parallel", PARALLEL)
def test_what_is_killed_and_resumed_is_the_same_to_the_last_bit(crowd: Crowd, tmp_path: Path, parallel: str) -> None:
    settings = {"parallel": parallel, "optimizer": "muon", "model": {"dropout": 0.1}, "micro_batch_tokens": 3 * 16}
    settings |= {"ema": 0.8} if parallel == "ddp" else {"precision": "bf16"}
    crowd.train(tmp_path / "straight", 2, **settings)
    found = crowd.train(tmp_path / "torn", 2, at=8, event="kill", **settings)
    assert crowd.codes == [0, 9] and "step" not in found[0]
    crowd.train(tmp_path / "torn", 2, **settings)
    Outcome(tmp_path / "torn").assert_same(Outcome(tmp_path / "straight"))


def test_a_run_goes_on_with_another_number_of_processes(
    crowd: Crowd, alone: dict[str, Outcome], tmp_path: Path
) -> None:
    for world, parallel, at in [(1, "ddp", 5), (2, "fsdp", 8), (4, "fsdp", 11), (1, "ddp", 0)]:
        crowd.train(tmp_path, world, parallel=parallel, at=at, event="stop", checkpoint_every=4, **CASES["muon"])
        assert crowd.words == [""] * world  # no warnings
    Outcome(tmp_path).assert_near(alone["muon"])


@pytest.mark.parametrize(("parallel", "policy"), [("ddp", "rollback"), ("fsdp", "skip")])
def test_a_loss_that_is_no_number_in_one_process_changes_no_weight_in_any(
    crowd: Crowd, tmp_path: Path, parallel: str, policy: str
) -> None:
    settings = {"parallel": parallel, "on_divergence": policy, "checkpoint_every": 4}
    found = crowd.train(tmp_path, 2, objective="poisoned", **settings)
    skipped = policy == "skip"
    for each in found:
        assert each["step"] == 12
        assert each["left_out"] == ([] if skipped else [5])
        assert each["sums"][4] == each["sums"][3] != each["sums"][2]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    judged = [(line["step"], line.get("judgement"), line.get("event")) for line in lines]
    assert [told for told in judged if told[1] or told[2]] == (
        [(5, "non-finite", None)] + ([] if skipped else [(4, None, "rollback"), (5, "left-out", None)])
    )


def test_a_signal_to_one_process_stops_all_after_the_same_step(crowd: Crowd, tmp_path: Path) -> None:
    found = crowd.train(tmp_path, 2, parallel="fsdp", at=6, event="term", on=1)
    words = sorted((each["error"], each["code"]) for each in found)
    assert words == [("Interrupted", 143), ("SaidElsewhere", 143)]
    (step,) = training_state.steps(tmp_path / "run" / "checkpoints")[-1:]
    assert step == 7
    assert all("stopped after step 7 of 12; checkpoint saved" in each["message"] for each in found)


def test_when_one_fails_all_end_and_one_says_why(crowd: Crowd, tmp_path: Path) -> None:
    failed, followed = sorted(
        crowd.train(tmp_path / "fail", 2, at=3, event="fail", on=1), key=lambda each: each["error"]
    )
    assert (failed["error"], failed["message"]) == ("ResourceError", "the disk of process 1 is full")
    assert (followed["error"], followed["code"]) == ("SaidElsewhere", 2)
    assert followed["message"] == "process 1 has failed: the disk of process 1 is full"
    first, killed = crowd.train(tmp_path / "kill", 2, at=3, event="kill", on=1)
    assert crowd.codes == [0, 9]
    assert (first["error"], killed) == ("ResourceError", {})
    assert "another process of this run has ended without a word" in first["message"]


def write_texts(folder: Path) -> list[str]:
    """Write some texts, and return the command that trains on them."""
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"the loom {number} weaves a thread of red and grey wool. " * number)
    sizes = ["training.steps=4", "training.batch_tokens=256", "model.context_length=32", "model.num_layers=1"]
    return ["train", str(folder), "--json", "model.hidden_size=32", "sampling.max_tokens=4", *sizes]


def test_the_command_speaks_once(crowd: Crowd, tmp_path: Path) -> None:
    words = [*write_texts(tmp_path / "texts"), "-o", str(tmp_path / "run")]
    found = crowd.job("command", tmp_path / "told", 2, words=words)
    assert [each["code"] for each in found] == [0, 0], crowd.words
    said = [(tmp_path / "told" / f"{rank}.out").read_text() for rank in (0, 1)]
    assert json.loads(said[0])["tokens_seen"] > 0
    assert (said[1], crowd.words[1]) == ("", "")
    assert load_model(tmp_path / "run").config.num_layers == 1
    wrong = crowd.job("command", tmp_path / "wrong", 2, words=["train", str(tmp_path / "none"), "-o", "x"])
    assert [each["code"] for each in wrong] == [2, 2]
    assert [bool(each) for each in crowd.words] == [True, False]
    assert "no such file" in crowd.words[0]


@pytest.mark.slow
def test_torchrun_starts_it(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "textus"]
    words = [*write_texts(tmp_path / "texts"), "-o", str(tmp_path / "run")]
    done = subprocess.run([*torchrun, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["directory"] == str(tmp_path / "run")
    assert done.stderr.count("expected time") == 1  # one plan
    assert load_model(tmp_path / "run").config.num_layers == 1


def test_one_process_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.setenv(name, "3")  # left there by something that is not torchrun
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launched().world == 1
    ranks = Ranks()
    made = []
    assert ranks.lead(lambda: made.append(1) or len(made)) == 1
    assert ranks.first(lambda: math.pi) == math.pi
    ranks.connect("mps")  # nothing to connect
    error = ConfigError("wrong")
    assert ranks.told(error) is error
