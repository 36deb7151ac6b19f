from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from textus import storage
from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load_model
from textus.errors import ResourceError
from textus.training.loop import TrainState
from textus.training.saving import Copies, Saver, Snapshot


class Held(Saver):
    """Writes once it is let go."""

    gate = threading.Event()

    def _write(self, snapshot: Snapshot) -> None:
        assert self.gate.wait(60)
        super()._write(snapshot)


def saver(bench: Any, directory: Path, kind: type[Saver] = Saver, **settings: Any) -> tuple[Any, TrainState]:
    run = bench.run(directory, **settings)
    state = TrainState.start(run.model, run.recipe)
    said: list[str] = []
    made = kind(run.checkpoints, run.model, run.tokenizer, {}, "key", 20, True, said.append)
    made.said = said  # type: ignore[attr-defined]
    return made, state


def test_a_step_goes_on_while_its_save_is_held_up_and_the_next_save_waits(bench: Any, tmp_path: Path) -> None:
    made, state = saver(bench, tmp_path, Held)
    weight = made.model.embedding.weight
    wanted = {}
    with made:
        for step in (1, 2):
            state.step = step
            wanted[step] = weight.detach().clone()
            saving = threading.Thread(target=made.save, args=(state, {"step": step}))
            saving.start()
            if step == 1:
                saving.join()
                made.check()
                assert not training_state.steps(made.checkpoints)
                with torch.no_grad():
                    weight += 1.0
        made.gate.set()
        saving.join()
    for step, value in wanted.items():
        assert torch.equal(load_model(training_state.path(made.checkpoints, step)).embedding.weight, value)


def test_what_goes_wrong_is_raised_at_the_next_call_and_the_one_before_stays(bench: Any, tmp_path: Path) -> None:
    made, state = saver(bench, tmp_path)
    state.step = 1
    made.save(state, {})
    made.wait()
    (made.checkpoints / "step-00000002").write_text("in the way")
    state.step = 2
    with pytest.raises(ResourceError, match="a file stands where a directory is needed") as caught, made:
        made.save(state, {})
        made.wait()
    assert caught.value.hint
    made.check()  # it is raised once
    newest, passed = training_state.newest(made.checkpoints)
    assert newest == training_state.path(made.checkpoints, 1) and not passed


def test_at_the_end_it_is_raised_unless_another_error_is_on_its_way(bench: Any, tmp_path: Path) -> None:
    for another in (False, True):
        made, state = saver(bench, tmp_path)
        made.checkpoints.mkdir(exist_ok=True)
        state.step = 2
        (made.checkpoints / "step-00000002").write_text("in the way")
        with pytest.raises(KeyError if another else ResourceError), made:
            made.save(state, {})
            if another:
                raise KeyError
        assert len(made.said) == another


def test_copies_share_no_memory_with_what_they_are_of_and_are_made_in_the_same_place(
    bench: Any, tmp_path: Path
) -> None:
    made, state = saver(bench, tmp_path, ema=0.9, future_tokens=1)
    state.average.update(1)
    copies = Copies()
    first = copies.copy(Snapshot.of(made.model, state, {}))
    mine = {tensor.data_ptr() for tensor in (*made.model.parameters(), *state.average.values.values())}
    held = [*first.weights.values(), *first.beside.values()]
    assert len(held) == 2 * len(made.model.own_parameters()) + 1
    assert not mine & {tensor.data_ptr() for tensor in held}
    second = copies.copy(Snapshot.of(made.model, state, {}))
    assert all(second.weights[name] is tensor for name, tensor in first.weights.items())


MASTER = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load_weights
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer
from textus.training.loop import TrainState
from textus.training.recipe import Recipe
from textus.training.saving import Saver, take_up

tokenizer = Tokenizer.load(Path(sys.argv[1]))
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod"}

def child(checkpoints, fatal):
    model = Transformer(ModelConfig(tokenizer.vocab_size, 8, 1, 8, 1, 1, 8, 8), seed=1)
    state = TrainState.start(model, Recipe(ema=0.5, future_tokens=1))
    newest, _ = training_state.newest(checkpoints)
    if newest:
        load_weights(newest, model)
        state.step = training_state.values(newest)["step"]
        take_up(model, state, training_state.beside(newest))
    seen = 0
    def operation(event, arguments):
        nonlocal seen
        if event in EVENTS and isinstance(arguments[0], str | os.PathLike) and str(checkpoints) in str(arguments[0]):
            seen += 1
            if seen == fatal:
                os.kill(os.getpid(), 9)
    os.fsync = lambda descriptor: None  # what a killed process has written is not lost: only a power cut needs it
    sys.addaudithook(operation)
    with Saver(checkpoints, model, tokenizer, {}, "key", 2, True, print) as saver:
        for _ in range(2):
            state.step += 1
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.fill_(state.step)
            state.average.update(state.step)
            saver.save(state, {"step": state.step})
    os.write(1, f"{seen}\\n".encode())
    os._exit(0)

for line in sys.stdin:
    checkpoints, fatal = json.loads(line)
    process = os.fork()
    if not process:
        child(Path(checkpoints), fatal)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


KILLS = 8  # each waits for the disk some hundred times


def test_killed_at_any_operation_of_a_save_what_was_whole_still_loads(bench: Any, tmp_path: Path) -> None:
    bench.tokenizer.save(tmp_path / "tokenizer", 8)
    command = [sys.executable, "-c", MASTER, str(tmp_path / "tokenizer")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as master:
        assert master.stdin is not None and master.stdout is not None

        def sit(name: str, fatal: int) -> str:
            master.stdin.write(json.dumps([str(tmp_path / name), fatal]) + "\n")
            master.stdin.flush()
            return master.stdout.readline().strip()

        operations = int(sit("once", 0))
        assert master.stdout.readline().strip() == "0"
        assert operations > 100
        kills, last = 0, 0
        for fatal in sorted(random.Random(0).sample(range(1, operations + 1), KILLS)):
            assert sit("run", fatal) == str(-signal.SIGKILL)
            kills += 1
            found, passed = training_state.newest(tmp_path / "run")
            assert not passed, passed
            if found is None:
                assert last == 0
                continue
            step = training_state.values(found)["step"]
            assert last <= step <= last + 2
            last = step
            storage.verify(found, training_state.KIND)
            live = training_state.beside(found)
            assert {float(value) for tensor in live.values() for value in tensor.unique()} == {float(step)}
        master.stdin.close()
    assert kills == KILLS
    assert last > KILLS / 4
