"""The training step on one device: tokens a second, its share of what the device can do, data wait, memory, start.

    python benchmarks/step.py SHARDS [--layers 12 --hidden 768 --context 1024 --batch 65536] [--steps 30]

SHARDS is a folder of token shards (RUN/shards). Each step is timed with its wait for data, which the loop measures:
what a step waits is what the data path costs. `data_alone` is the time to make a step's windows with no step to hide
behind. `start_seconds` runs from the start of Python to the end of the first step, compilation included: run it twice
for a warm start.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

BEGAN = time.perf_counter()

import torch  # noqa: E402 - its import is a part of the start

from textus.dataset.loader import Loader  # noqa: E402
from textus.dataset.pack import Windows  # noqa: E402
from textus.dataset.shard import TokenShard  # noqa: E402
from textus.dataset.split import TokenSplit  # noqa: E402
from textus.model.transformer import Transformer  # noqa: E402
from textus.objectives.causal import Causal  # noqa: E402
from textus.training import machine  # noqa: E402
from textus.training.config import ModelSettings, TrainConfig  # noqa: E402
from textus.training.loop import Step, TrainState, train  # noqa: E402
from textus.training.plan import Plan, TextSize, plan  # noqa: E402

UNCOUNTED = 5
"""First steps: they pay for memory and compilation."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("shards", type=Path)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--head", type=int, default=0, help="width of a head; 0: as planned")
    parser.add_argument("--intermediate", type=int, default=0, help="width of the feed-forward; 0: as planned")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--micro", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--compile", default="off")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--optimizer", default="adamw")
    return parser.parse_args()


def planned(options: argparse.Namespace, split: TokenSplit) -> tuple[machine.Machine, Plan]:
    config = TrainConfig(
        steps=options.steps,
        batch_tokens=options.batch,
        micro_batch_tokens=options.micro or options.batch,
        compile=options.compile,
        precision=options.precision,
        optimizer=options.optimizer,
    )
    found = machine.look(config)
    text = TextSize(split.num_tokens, split.num_tokens, split.num_tokens - 1, split.vocab_size)
    shape = ModelSettings(
        context_length=options.context,
        num_layers=options.layers,
        hidden_size=options.hidden,
        head_size=options.head or "auto",
        intermediate_size=options.intermediate or "auto",
    )
    return found, plan(text, shape, config, found)


def main() -> None:
    options = arguments()
    files = sorted(options.shards.glob("train-*"))
    split = TokenSplit("train", [TokenShard.open(file) for file in files], "")
    found, made = planned(options, split)
    model = Transformer(made.model).to(found.device)
    loader = Loader(Windows(split, options.context, 1, 1), made.recipe.rows(options.context))
    steps: list[Step] = []
    start = 0.0
    for step in train(model, loader, Causal(), made.recipe, TrainState.start(model, made.recipe)):
        start = start or time.perf_counter() - BEGAN
        steps.append(step)
    began = time.perf_counter()
    for number in range(50):
        loader.window(number)
    alone = (time.perf_counter() - began) / 50
    counted = steps[UNCOUNTED:-1]
    seconds = statistics.median(step.seconds for step in counted)
    speed = counted[0].positions / seconds
    flops, peak = speed * made.model.flops_per_token(), machine.peak_flops(found.name, found.precision)
    used = machine.peak_bytes(found.device)
    print(
        json.dumps(
            {
                "benchmark": "training step",
                "device": found.name if found.device == "cuda" else platform.machine(),
                "torch": torch.__version__,
                "precision": found.precision,
                "optimizer": made.recipe.optimizer,
                "heads": f"{made.model.num_heads} x {made.model.head_size}",
                "intermediate": made.model.intermediate_size,
                "parameters": made.model.num_parameters(),
                "tokens_per_step": counted[0].positions,
                "step_ms": 1000 * seconds,
                "tokens_per_second": speed,
                "tflops": flops / 1e12,
                "mfu_percent": None if peak is None else 100 * flops / peak,
                "data_wait_percent": 100 * statistics.median(step.waited for step in counted) / seconds,
                "data_alone_percent": 100 * alone / seconds,
                "start_seconds": start,
                "last_loss": steps[-1].loss,
                "planned_mib": made.memory_bytes >> 20,
                "used_mib": used >> 20,
                "plan_off_percent": 100 * (made.memory_bytes / used - 1),
            }
        )
    )


if __name__ == "__main__":
    main()
