from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from textus import storage
from textus.checkpoint import training_state
from textus.dataset.window import Window
from textus.errors import CheckpointError, ConfigError, CorpusError, DivergenceError, Interrupted, ResourceError
from textus.objectives.causal import Causal
from textus.objectives.objective import Batch, Loss
from textus.training import loop
from textus.training.keep import METRICS
from textus.training.loop import Step
from textus.training.run import Run


@dataclass(frozen=True)
class Planted(Causal):
    """Causal, but for some steps whose loss is not a number."""

    bad: tuple[int, ...] = ()
    value: float = math.nan

    def batch(self, window: Window, generator: torch.Generator) -> Batch:
        batch = super().batch(window, generator)
        if int(generator.initial_seed()) in {mixed(step) for step in self.bad}:
            object.__setattr__(batch, "labels", batch.labels.clone())
            return Bad(batch.tokens, batch.labels, batch.documents, batch.count)
        return batch

    def loss(self, model: Any, batch: Batch) -> Loss:
        found = super().loss(model, batch)
        return Loss(found.total * self.value, found.count) if isinstance(batch, Bad) else found


@dataclass(frozen=True)
class Bad(Batch):
    def split(self, rows: int) -> Any:
        for part in super().split(rows):
            yield Bad(part.tokens, part.labels, part.documents, part.count)


def planted(bad: tuple[int, ...], value: float = math.nan) -> Planted:
    return Planted(bad=bad, value=value)


def mixed(step: int) -> int:
    return (0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9) % 2**63


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"micro_batch_tokens": 2 * 16},
    "uneven accumulation": {"micro_batch_tokens": 3 * 16},
    "dropout": {"model": {"dropout": 0.2}, "micro_batch_tokens": 4 * 16},
    "many epochs": {"steps": 40, "batch_tokens": 24 * 16, "micro_batch_tokens": 24 * 16, "checkpoint_every": 7},
    "bf16": {"precision": "bf16", "model": {"dropout": 0.1}},
    "fp16": {"precision": "fp16"},
    "spikes": {"objective": planted((14, 15, 21), 40.0), "steps": 24, "spike_window": 16, "checkpoint_every": 5},
    "cosine, untied, no clip": {"schedule": "cosine", "gradient_clip": "off", "model": {"tied_embeddings": False}},
    "muon": {"optimizer": "muon", "model": {"tied_embeddings": False}, "micro_batch_tokens": 3 * 16},
    "last": {"select": "last", "keep_last": 1},
    "best": {"learning_rate": 3.0, "final_learning_rate": 1.0, "evaluate_every": 1, "steps": 14},
}


@pytest.fixture(scope="module")
def straight(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """The outcome of a case that nothing has interrupted."""

    @cache
    def outcome(case: str) -> dict[str, Any]:
        run = bench.run(tmp_path_factory.mktemp("straight"), **CASES[case])
        return bench.outcome(run, run.finish())  # type: ignore[no-any-return]

    return outcome


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_and_resumed_is_the_same_to_the_last_bit(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path, case: str
) -> None:
    settings, whole = CASES[case], straight(case)
    steps = settings.get("steps", 12)
    for at in range(1, steps + 1) if case == "plain" else random.Random(case).sample(range(2, steps + 1), 3):
        bench.stopped(tmp_path / str(at), at, **settings)
        run = bench.run(tmp_path / str(at), **settings)
        bench.assert_same(bench.outcome(run, run.finish()), whole)


def test_a_run_that_is_killed_again_and_again_is_the_same_too(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    for at in (6, 9, 9, 10, 12):
        bench.stopped(tmp_path, at, **CASES["dropout"])
    run = bench.run(tmp_path, **CASES["dropout"])
    bench.assert_same(bench.outcome(run, run.finish()), straight("dropout"))


def test_the_cases_are_what_they_are_called(straight: Callable[[str], dict[str, Any]]) -> None:
    judged = [line.get("judgement") for line in straight("spikes")["metrics"]]
    assert [number for number, word in enumerate(judged, 1) if word] == [14, 15, 21]
    assert {"spike", None} == set(judged)
    assert straight("best")["chosen"] < 14
    assert straight("best")["model"] != straight("best")["weights"]
    assert straight("last")["model"] == straight("last")["weights"]
    assert straight("fp16")["values"]["scaler"]["scale"] >= 1
    assert straight("plain")["model"] != straight("accumulation")["model"]
    lines = straight("many epochs")["metrics"]
    assert [line["step"] for line in lines] == list(range(1, 41))
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


def test_the_same_run_twice_is_the_same(bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    run = bench.run(tmp_path, **CASES["dropout"])
    bench.assert_same(bench.outcome(run, run.finish()), straight("dropout"))
    other = bench.run(tmp_path / "other", **CASES["dropout"], seed=2)
    assert bench.outcome(other, other.finish())["model"] != straight("dropout")["model"]


def test_settings_that_change_no_weight_may_differ_between_sittings(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    bench.stopped(tmp_path, 7)
    run = bench.run(tmp_path, checkpoint_every=1, keep_last=3, minutes=5.0, select="last", tensorboard=False)
    found = bench.outcome(run, run.finish())
    assert found["weights"] == straight("plain")["weights"]
    assert found["metrics"] == straight("plain")["metrics"]


def damage(checkpoint: Path, draw: random.Random) -> None:
    files = [file for file in sorted(checkpoint.rglob("*")) if file.is_file() and file.name != storage.MANIFEST]
    file = draw.choice(files)
    data = bytearray(file.read_bytes())
    if draw.random() < 0.5:
        del data[draw.randrange(len(data)) :]
    else:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    file.write_bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_checkpoint_is_passed_over_and_named(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path, seed: int
) -> None:
    bench.stopped(tmp_path, 10)
    run = bench.run(tmp_path)
    before = training_state.steps(run.checkpoints)
    damage(training_state.path(run.checkpoints, before[-1]), random.Random(seed))
    found = bench.outcome(run, run.finish())
    assert f"checkpoint {before[-1]} is damaged and was passed over" in bench.said(run)
    assert f"resuming after step {before[-2]} of 12" in bench.said(run)
    bench.assert_same(found, straight("plain"))


@pytest.mark.parametrize("keep_last", [1, 2])
def test_a_checkpoint_without_its_manifest_is_replaced_when_its_step_comes_again(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path, keep_last: int
) -> None:
    settings = {"keep_last": keep_last, "select": "last"}
    bench.stopped(tmp_path, 10, **settings)
    run = bench.run(tmp_path, **settings)
    newest = training_state.steps(run.checkpoints)[-1]
    (training_state.path(run.checkpoints, newest) / storage.MANIFEST).unlink()
    if len(training_state.steps(run.checkpoints)) == 1:
        return  # nothing older is left: see the next test
    assert bench.outcome(run, run.finish())["weights"] == straight("plain")["weights"]


def test_a_damaged_checkpoint_ahead_does_not_push_out_what_is_saved(bench: Any, tmp_path: Path) -> None:
    settings = {"keep_last": 1, "checkpoint_every": 2, "evaluate_every": 100, "select": "last"}
    bench.stopped(tmp_path, 7, **{**settings, "keep_last": 2})
    run = bench.run(tmp_path, **settings)
    assert training_state.steps(run.checkpoints) == [4, 6]
    damage(training_state.path(run.checkpoints, 6), random.Random(0))
    bench.stopped(tmp_path, 6, **{**settings, "checkpoint_every": 1})
    assert training_state.steps(run.checkpoints) == [5]


def test_where_all_are_damaged_nothing_is_deleted(bench: Any, tmp_path: Path) -> None:
    bench.stopped(tmp_path, 10)
    run = bench.run(tmp_path)
    for step in training_state.steps(run.checkpoints):
        damage(training_state.path(run.checkpoints, step), random.Random(step))
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint here is whole") as caught:
        run.finish()
    assert "delete this directory" in caught.value.hint
    assert contents(tmp_path) == before


def contents(directory: Path) -> dict[str, bytes]:
    files = (file for file in directory.rglob("*") if file.is_file())
    return {file.relative_to(directory).as_posix(): file.read_bytes() for file in files}


def test_a_damaged_best_checkpoint_gives_way_to_the_last_weights(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    best = straight("best")["chosen"]

    def spoil(step: Step) -> None:
        if step.number == 14:
            file = training_state.path(tmp_path / "checkpoints", best) / "model.safetensors"
            data = bytearray(file.read_bytes())
            data[-1] ^= 1
            file.write_bytes(data)

    run = bench.run(tmp_path, on_step=spoil, **CASES["best"])
    state = run.finish()
    assert state.chosen_step == 14
    assert "the best checkpoint is damaged, and the last weights are taken" in bench.said(run)
    assert bench.outcome(run, state)["model"] == straight("best")["weights"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.02}, "training.learning_rate 0.01 -> 0.02"),
        ({"steps": 13, "seed": 2}, "training.seed 1 -> 2, training.steps 12 -> 13"),
        ({"model": {"hidden_size": 32}}, "model.hidden_size 16 -> 32"),
        ({"model": {"tied_embeddings": False}}, "model.tied_embeddings true -> false"),
        ({"gradient_clip": "off"}, "training.gradient_clip 1.0 -> off"),
    ],
)
def test_changed_settings_are_named_and_refused(
    bench: Any, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    bench.stopped(tmp_path, 7)
    before = contents(tmp_path)
    with pytest.raises(ConfigError) as caught:
        bench.run(tmp_path, **changes).finish()
    assert caught.value.message.endswith(f"differs from this one in {words}")
    assert "choose another -o" in caught.value.hint
    assert caught.value.exit_code == 2
    assert contents(tmp_path) == before


def test_another_objective_is_named_and_refused(bench: Any, tmp_path: Path) -> None:
    bench.stopped(tmp_path, 7)
    with pytest.raises(ConfigError, match=r"objective.name causal -> planted, objective.bad unset -> \(99,\)"):
        bench.run(tmp_path, objective=planted((99,))).finish()


def test_retention_keeps_the_last_ones_and_the_best(bench: Any, tmp_path: Path) -> None:
    run = bench.run(tmp_path, keep_last=3, checkpoint_every=1, **CASES["best"])
    state = run.finish()
    assert training_state.steps(run.checkpoints) == sorted({state.best_step, 12, 13, 14})
    assert state.best_step == state.chosen_step


# Divergence


def weights(run: Run) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in run.model.parameters()]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_loss_that_is_no_number_changes_no_weight_and_is_named(
    bench: Any, tmp_path: Path, value: float, precision: str
) -> None:
    seen: dict[int, list[torch.Tensor]] = {}

    def look(step: Step) -> None:
        seen[step.number] = weights(run)

    run = bench.run(tmp_path, objective=planted((5,), value), on_step=look, micro_batch_tokens=32, precision=precision)
    state = run.finish()
    assert state.step == 12
    assert all(map(torch.equal, seen[4], seen[5]))
    assert not all(map(torch.equal, seen[5], seen[6]))
    line = bench.metrics(tmp_path)[4]
    assert (line["step"], line["loss"], line["judgement"]) == (5, None, "non-finite")
    assert line["batch"].startswith("windows 32 to 39, training documents ")
    assert f"step 5: loss is {value} (windows 32 to 39, training documents " in bench.said(run)


def test_a_bad_step_that_is_skipped_is_skipped_on_resuming_too(bench: Any, tmp_path: Path) -> None:
    settings = {"objective": planted((5, 9, 10)), "model": {"dropout": 0.1}}
    run = bench.run(tmp_path / "whole", **settings)
    whole = bench.outcome(run, run.finish())
    for at in (5, 6, 10, 11):
        bench.stopped(tmp_path / str(at), at, **settings)
        run = bench.run(tmp_path / str(at), **settings)
        bench.assert_same(bench.outcome(run, run.finish()), whole)


def test_stop_means_stop(bench: Any, tmp_path: Path) -> None:
    run = bench.run(tmp_path, objective=planted((6,)), on_divergence="stop")
    with pytest.raises(DivergenceError, match=r"step 6: loss is nan \(windows 40 to 47, training documents") as caught:
        run.finish()
    assert caught.value.exit_code == 1
    assert training_state.steps(run.checkpoints)[-1] == 4
    with pytest.raises(DivergenceError, match="step 6"):
        bench.run(tmp_path, objective=planted((6,)), on_divergence="stop").finish()


def test_a_rollback_goes_on_as_if_the_batch_had_been_ruled_out_from_the_start(bench: Any, tmp_path: Path) -> None:
    settings = {"on_divergence": "rollback", "model": {"dropout": 0.1}}
    run = bench.run(tmp_path / "rolled", objective=planted((6, 11)), **settings)
    state = run.finish()
    assert state.left_out == {6, 11}
    assert "rolled back to step 4; the batch of step 6 will be left out" in bench.said(run)
    events = [line for line in bench.metrics(run.directory) if "event" in line]
    assert events == [
        {"step": 4, "event": "rollback", "left_out": [6]},
        {"step": 9, "event": "rollback", "left_out": [6, 11]},
    ]
    skipped = bench.run(tmp_path / "skipped", objective=planted((6, 11)), **{**settings, "on_divergence": "skip"})
    skipped.finish()
    assert all(map(torch.equal, weights(run), weights(skipped)))
    for at in (5, 6, 7, 11, 12):
        bench.stopped(tmp_path / str(at), at, objective=planted((6, 11)), **settings)
        again = bench.run(tmp_path / str(at), objective=planted((6, 11)), **settings)
        bench.assert_same(bench.outcome(again, again.finish()), bench.outcome(run, state))


def test_a_rollback_before_the_first_checkpoint_stops(bench: Any, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="step 2: loss is nan, before the first checkpoint"):
        bench.run(tmp_path, objective=planted((2,)), on_divergence="rollback").finish()


def test_rollbacks_that_do_not_help_stop(bench: Any, tmp_path: Path) -> None:
    settings = {"on_divergence": "rollback", "steps": 20, "evaluate_every": 100}
    run = bench.run(tmp_path, objective=planted((9, 10, 11, 12, 13, 14)), **settings)
    with pytest.raises(DivergenceError, match="loss is nan, after 3 rollbacks to step 8"):
        run.finish()


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_eight_bad_steps_in_a_row_stop_every_policy(bench: Any, tmp_path: Path, policy: str) -> None:
    bad = tuple(range(4, 100))
    run = bench.run(
        tmp_path, objective=planted(bad), on_divergence=policy, steps=100, checkpoint_every=1, evaluate_every=100
    )
    with pytest.raises(DivergenceError, match="step 11: loss is nan"):
        run.finish()


def test_a_loss_that_never_moves_is_stalled(bench: Any, tmp_path: Path) -> None:
    settings = {"learning_rate": 1e-9, "steps": 60, "spike_window": 16}
    with pytest.raises(DivergenceError, match=r"step 16: the loss has not left 5\.\d+, where it began") as caught:
        bench.run(tmp_path, **settings).finish()
    assert "tenfold" in caught.value.hint


def test_a_batch_that_asks_nothing_is_an_error(bench: Any, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Mute(Causal):
        def batch(self, window: Window, generator: torch.Generator) -> Batch:
            return super().batch(Window(window.tokens, window.documents, window.predict & False), generator)

    with pytest.raises(CorpusError, match="asks for no prediction"):
        bench.run(tmp_path, objective=Mute()).finish()


# The machine


@pytest.mark.parametrize("saving", ["blocking", "background"])
def test_a_disk_that_is_full_while_saving_stops_cleanly_and_the_run_goes_on_later(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path, saving: str
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(step: Step) -> None:
        if step.number == 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))

    run = bench.run(tmp_path, on_step=fill, saving=saving)
    try:
        with pytest.raises(ResourceError, match="no space left to write") as caught:
            run.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "free disk space" in caught.value.hint
    kept = training_state.steps(run.checkpoints)
    # in the background, the disk may be full before the save of step 4 has ended, and that one is refused too
    assert kept == [3, 4] or (saving == "background" and kept == [3])
    assert not [path for path in run.checkpoints.iterdir() if path.name.startswith(".")]
    run = bench.run(tmp_path, saving=saving)
    bench.assert_same(bench.outcome(run, run.finish()), straight("plain"))
    assert f"resuming after step {kept[-1]}" in bench.said(run)


def test_a_full_small_disk_loses_no_checkpoint(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(tmp_path)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        run = bench.run(tmp_path)
        with pytest.raises(ResourceError, match="no space left to write"):
            run.finish()
        kept = training_state.steps(run.checkpoints)
        assert kept
        subprocess.run(["mount", "-o", "remount,size=20m", str(tmp_path)], check=True)
        run = bench.run(tmp_path)
        bench.assert_same(bench.outcome(run, run.finish()), straight("plain"))
        assert f"resuming after step {kept[-1]} of 12" in bench.said(run)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_tensorboard_shows_a_resumed_run_as_one(bench: Any, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    bench.stopped(tmp_path, 7, tensorboard=True)
    bench.run(tmp_path, tensorboard=True).finish()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    lines = bench.metrics(tmp_path)
    for name in ("loss", "validation_loss", "gradient_norm", "learning_rate"):
        wanted = [(line["step"], pytest.approx(line[name])) for line in lines if name in line]
        assert [(event.step, event.value) for event in events.Scalars(name)] == wanted
    assert (tmp_path / METRICS).is_file()


# A device that is sent the next step before it has told what came of the last


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send steps as to a GPU, on the CPU."""
    monkeypatch.setattr(loop, "runs_ahead", lambda recipe: True)


AHEAD = {
    "plain": {},
    "dropout": CASES["dropout"],
    "many epochs": CASES["many epochs"],
    "spikes": CASES["spikes"],
    "muon": {"optimizer": "muon", "objective": planted((6,)), "micro_batch_tokens": 3 * 16},
    "bf16": CASES["bf16"],
}


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("case", AHEAD)
def test_sent_ahead_a_run_that_is_killed_and_resumed_is_the_same_to_the_last_bit(
    bench: Any, tmp_path: Path, case: str
) -> None:
    run = bench.run(tmp_path / "whole", **AHEAD[case])
    whole = bench.outcome(run, run.finish())
    steps = AHEAD[case].get("steps", 12)
    assert [line["step"] for line in whole["metrics"]] == list(range(1, steps + 1))
    for at in (15, 16, 20, 22) if case == "spikes" else random.Random(case).sample(range(2, steps + 1), 2):
        bench.stopped(tmp_path / str(at), at, **AHEAD[case])
        run = bench.run(tmp_path / str(at), **AHEAD[case])
        bench.assert_same(bench.outcome(run, run.finish()), whole)


def test_sending_ahead_changes_no_weight(
    bench: Any, straight: Callable[[str], dict[str, Any]], tmp_path: Path, ahead: None
) -> None:
    for case in ("plain", "dropout", "bf16"):
        run = bench.run(tmp_path / case, **CASES[case])
        found = bench.outcome(run, run.finish())
        assert hash(found["weights"]) == hash(straight(case)["weights"])
        assert found["metrics"] == straight(case)["metrics"]


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("policy", ["skip", "rollback"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_sent_ahead_a_bad_step_changes_no_weight(bench: Any, tmp_path: Path, policy: str, optimizer: str) -> None:
    """A step that is left out, told late or known beforehand: the weights are the same."""
    settings = {"optimizer": optimizer, "on_divergence": policy, "model": {"dropout": 0.1}}
    run = bench.run(tmp_path / "late", objective=planted((6, 11)), **settings)
    run.finish()
    if policy == "rollback":
        assert [line["step"] for line in bench.metrics(run.directory) if "event" in line] == [4, 9]
    early = bench.run(tmp_path / "early", objective=planted((6, 11)), **{**settings, "on_divergence": "skip"})
    early.finish()
    assert all(map(torch.equal, weights(run), weights(early)))
    for value in weights(run):
        assert value.isfinite().all()


@pytest.mark.usefixtures("ahead")
def test_sent_ahead_stop_means_stop(bench: Any, tmp_path: Path) -> None:
    run = bench.run(tmp_path, objective=planted((6,)), on_divergence="stop")
    with pytest.raises(DivergenceError, match="step 6: loss is nan"):
        run.finish()
    assert training_state.steps(run.checkpoints)[-1] == 4


@pytest.mark.usefixtures("ahead")
def test_sent_ahead_a_signal_is_answered_with_weights_of_the_step_that_is_saved(bench: Any, tmp_path: Path) -> None:
    whole = bench.run(tmp_path / "whole")
    expected = bench.outcome(whole, whole.finish())

    def interrupt(step: Step) -> None:
        if step.number == 5:
            signal.raise_signal(signal.SIGINT)

    run = bench.run(tmp_path / "stopped", on_step=interrupt)
    with pytest.raises(Interrupted, match=r"stopped after step [67] of 12; checkpoint saved"):
        run.finish()
    again = bench.run(tmp_path / "stopped")
    bench.assert_same(
        bench.outcome(again, again.finish()), {**expected, "checkpoints": training_state.steps(again.checkpoints)}
    )
