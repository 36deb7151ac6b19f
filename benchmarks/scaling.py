"""What several devices gain: the speed of a training step on all of them against that of one.

    torchrun --nproc-per-node 2 benchmarks/scaling.py SHARDS [--parallel ddp] [--optimizer muon] [--steps 30]

SHARDS is a folder of token shards (RUN/shards). The first process measures a step alone, with its share of the batch,
while the others wait; then all take steps together, each with a share of that size. The efficiency is their speed over
that of one device times their number. The shape is about 350M parameters (24 layers x 1024, context 1024, 65,536 tokens
a device); at toy size, on two CPU processes, for a look at whether it runs:

    torchrun --nproc-per-node 2 benchmarks/scaling.py SHARDS --layers 2 --hidden 64 --context 64 --batch 512
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from dataclasses import replace
from pathlib import Path

import torch

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.shard import TokenShard
from textus.dataset.split import TokenSplit
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.training import machine
from textus.training.config import ModelSettings, TrainConfig
from textus.training.crew import assemble
from textus.training.distributed import Ranks, joined
from textus.training.loop import TrainState, train
from textus.training.plan import Plan, TextSize, plan

UNCOUNTED = 5
"""First steps: they pay for memory and compilation."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("shards", type=Path)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=65_536, help="tokens of a step on one device")
    parser.add_argument("--micro", type=int, default=0, help="tokens in memory at once; 0: all of them")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--compile", default="off")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--parallel", default="ddp", choices=("ddp", "fsdp"))
    parser.add_argument("--same", action="store_true", help="let one device take the steps of all, to compare losses")
    return parser.parse_args()


def planned(options: argparse.Namespace, split: TokenSplit, world: int) -> Plan:
    config = TrainConfig(
        steps=options.steps,
        batch_tokens=options.batch * world,
        micro_batch_tokens=options.micro or options.batch,
        compile=options.compile,
        precision=options.precision,
        optimizer=options.optimizer,
        parallel=options.parallel,
    )
    text = TextSize(split.num_tokens, split.num_tokens, split.num_tokens - 1, split.vocab_size)
    shape = ModelSettings(context_length=options.context, num_layers=options.layers, hidden_size=options.hidden)
    return plan(text, shape, config, machine.look(config))


def measured(options: argparse.Namespace, split: TokenSplit, ranks: Ranks) -> dict[str, float]:
    """Take steps with these processes; return tokens a second, the memory of this one, and the last loss."""
    made = planned(options, split, ranks.world)
    ranks.connect(made.recipe.device)
    model, objective = Transformer(made.model, seed=1).to(made.recipe.device), Causal()
    recipe = replace(made.recipe, parallel=options.parallel)
    crew = assemble(ranks, model, recipe)
    loader = Loader(Windows(split, options.context, 1, 1), recipe.rows(options.context), ranks.rank, ranks.world)
    steps = list(train(model, loader, objective, recipe, TrainState.start(model, recipe), crew=crew))
    seconds = statistics.median(step.seconds for step in steps[UNCOUNTED:-1])
    return {
        "tokens_per_second": steps[-1].positions / seconds,
        "step_ms": 1000 * seconds,
        "used_mib": machine.peak_bytes(made.recipe.device) >> 20,
        "last_loss": steps[-1].loss,
        "parameters": made.model.num_parameters(),
    }


def main() -> None:
    options = arguments()
    split = TokenSplit("train", [TokenShard.open(file) for file in sorted(options.shards.glob("train-*"))], "")
    with joined() as ranks:
        alone = ranks.first(lambda: measured(options, split, Ranks()))
        together = measured(options, split, ranks)
        whole = argparse.Namespace(**vars(options) | {"batch": options.batch * ranks.world, "micro": options.batch})
        same = ranks.first(lambda: measured(whole, split, Ranks()) if options.same else None)
    if not ranks.leads:
        return
    cuda = torch.cuda.is_available()
    print(
        json.dumps(
            {
                "benchmark": "scaling",
                "device": torch.cuda.get_device_name() if cuda else platform.machine(),
                "torch": torch.__version__,
                "processes": ranks.world,
                "parallel": options.parallel,
                "optimizer": options.optimizer,
                "parameters": alone["parameters"],
                "tokens_per_step": options.batch * ranks.world,
                "alone": alone,
                "together": together,
                "same_alone": same,
                "efficiency_percent": 100 * together["tokens_per_second"] / alone["tokens_per_second"] / ranks.world,
            }
        )
    )


if __name__ == "__main__":
    main()
