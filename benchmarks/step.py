"""The training step on one device: tokens a second, the share of time that data takes, planned and used memory.

    python benchmarks/step.py SHARDS [--layers 12 --hidden 768 --context 1024 --batch 32768] [--steps 30]

SHARDS is a folder of token shards (RUN/shards). Each step is timed with its wait for data, which the loop measures:
what a step waits is what the data path costs. `data_alone` is the time to make a step's windows with no step to hide
behind.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.shard import TokenShard
from textus.dataset.split import TokenSplit
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.training import machine
from textus.training.config import TrainConfig
from textus.training.loop import TrainState, train
from textus.training.plan import ModelSettings, TextSize, plan


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shards", type=Path)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--micro", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--compile", default="off")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    files = sorted(options.shards.glob("train-*"))
    split = TokenSplit("train", [TokenShard.open(file) for file in files], "")
    config = TrainConfig(
        steps=options.steps,
        batch_tokens=options.batch,
        micro_batch_tokens=options.micro or options.batch,
        compile=options.compile,
        precision=options.precision,
    )
    found = machine.look(config)
    text = TextSize(split.num_tokens, split.num_tokens, split.num_tokens - 1, split.vocab_size)
    shape = ModelSettings(context_length=options.context, num_layers=options.layers, hidden_size=options.hidden)
    made = plan(text, shape, config, found)
    model = Transformer(made.model).to(found.device)
    loader = Loader(Windows(split, options.context, 1, 1), made.recipe.rows(options.context))
    state = TrainState.start(model, made.recipe)
    steps = list(train(model, loader, Causal(), made.recipe, state))[3:]
    began = time.perf_counter()
    for number in range(50):
        loader.window(number)
    alone = (time.perf_counter() - began) / 50
    seconds = statistics.median(step.seconds for step in steps)
    waited = statistics.median(step.waited for step in steps)
    used = machine.peak_bytes(found.device)
    tokens = made.recipe.rows(options.context) * options.context
    print(
        json.dumps(
            {
                "benchmark": "training step",
                "device": torch.cuda.get_device_name() if found.device == "cuda" else platform.machine(),
                "torch": torch.__version__,
                "precision": found.precision,
                "parameters": made.model.num_parameters(),
                "tokens_per_second": tokens / seconds,
                "tflops": tokens / seconds * made.model.flops_per_token() / 1e12,
                "data_wait_percent": 100 * waited / seconds,
                "data_alone_percent": 100 * alone / seconds,
                "planned_mib": made.memory_bytes >> 20,
                "used_mib": used >> 20,
                "plan_off_percent": 100 * (made.memory_bytes / used - 1),
            }
        )
    )


if __name__ == "__main__":
    main()
