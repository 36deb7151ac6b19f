"""Several real processes of one run, without their cost: a process that has imported everything forks them.

Run as a program it reads a job a line, starts its processes as torchrun would (the same variables, the table of all in
the process that starts them), and says how each has ended when the last one has.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch._dynamo
import torch.distributed as dist
from safetensors.torch import load_file

import conftest
from textus.checkpoint import training_state
from textus.dataset.tokenize import Shards
from textus.dataset.window import Window
from textus.errors import ResourceError, TextusError
from textus.objectives.causal import Causal
from textus.objectives.objective import IGNORE, Batch, Loss
from textus.tokenizer.tokenizer import Tokenizer
from textus.training import exchange, sharded
from textus.training.distributed import joined
from textus.training.loop import Step

assert exchange and sharded and torch._dynamo  # imported once for all

PATIENCE_SECONDS = 60.0
"""A process that still hangs after this long is ended, and its test fails."""


@dataclass(frozen=True)
class Sparse(Causal):
    """Ask only in some windows, so that processes ask unequally much, and some of them nothing."""

    def batch(self, window: Window, generator: torch.Generator) -> Batch:
        batch = super().batch(window, generator)
        if not generator.initial_seed():  # it is being measured
            return batch
        rows = (batch.tokens.sum(1) % 3 == 0).unsqueeze(1)
        return Batch.of(batch.tokens, batch.labels.masked_fill(~rows, IGNORE), batch.documents)


@dataclass(frozen=True)
class Poisoned(Causal):
    """The loss of one process is no number at some steps."""

    steps: tuple[int, ...] = (5,)
    now: ClassVar[list[int]] = [0]

    def loss(self, model: Any, batch: Batch) -> Loss:
        found = super().loss(model, batch)
        bad = model.training and self.now[0] + 1 in self.steps and os.environ["RANK"] == "1"
        return Loss(found.total * float("nan"), found.count) if bad else found


OBJECTIVES = {"causal": Causal(), "sparse": Sparse(), "poisoned": Poisoned()}


def train(
    folder: str, directory: str, objective: str = "causal", at: int = 0, event: str = "", on: int = 1, **settings: Any
) -> dict[str, Any]:
    """Train; at step `at`, something happens to the process `on`."""
    torch.set_num_threads(1)
    place = Path(folder)
    bench = conftest.Bench(Shards.open(place / "shards"), Tokenizer.load(place / "tokenizer"))
    norms: list[float] = []

    def happen(step: Step) -> None:
        Poisoned.now[0] = step.number
        norms.append(float(sum(parameter_sum(parameter) for parameter in run.model.parameters())))
        if step.number == at:
            befall(event, on)

    with joined() as ranks:
        run = bench.run(Path(directory), objective=OBJECTIVES[objective], on_step=happen, **settings)
        run.ranks = ranks
        state = run.finish()
    return {"step": state.step, "chosen": state.chosen_step, "left_out": sorted(state.left_out), "sums": norms}


def parameter_sum(parameter: torch.Tensor) -> torch.Tensor:
    return (parameter.to_local() if hasattr(parameter, "to_local") else parameter).detach().double().sum()


def befall(event: str, on: int) -> None:
    if event == "stop":
        raise conftest.Stop
    if int(os.environ["RANK"]) != on:
        return
    if event == "kill":
        os._exit(9)
    if event == "fail":
        raise ResourceError(f"the disk of process {on} is full", hint="")
    if event == "term":
        os.kill(os.getpid(), signal.SIGTERM)


def command(words: list[str]) -> dict[str, Any]:
    """Type a command."""
    from textus.cli.main import main

    torch.set_num_threads(1)
    return {"code": main(words)}


def weights(directory: Path, step: int) -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint."""
    return load_file(training_state.path(directory / "checkpoints", step) / "model.safetensors")


def _child(job: dict[str, Any], rank: int, port: int) -> None:
    folder = Path(job["out"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(job["world"]),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="test",
        TORCHELASTIC_USE_AGENT_STORE="True",
        TORCHELASTIC_RESTART_COUNT="0",
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.dump_traceback_later(PATIENCE_SECONDS, exit=True)
    try:
        found = {"train": train, "command": command}[job["name"]](**job["given"])
    except (TextusError, conftest.Stop) as error:
        found = {"error": type(error).__name__, "message": str(error), "code": getattr(error, "exit_code", 0)}
    except BaseException:
        found = {"error": "unexpected", "message": traceback.format_exc()}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _keep_table() -> tuple[int, int]:
    """Start the process that keeps the table of all, and return its number and port.

    It is one of its own because the table has threads, and what has threads must not be forked.
    """
    reader, writer = os.pipe()
    keeper = os.fork()
    if not keeper:
        table = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        os.write(writer, str(table.port).encode())
        signal.pause()
    port = int(os.read(reader, 16))
    os.close(reader)
    os.close(writer)
    return keeper, port


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        keeper, port = _keep_table()
        processes = []
        for rank in range(job["world"]):
            process = os.fork()
            if not process:
                _child(job, rank, port)
            processes.append(process)
        codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
        print(json.dumps(codes), flush=True)


if __name__ == "__main__":
    main()
