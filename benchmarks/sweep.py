"""Which shape, batch and rate give the lowest loss for the arithmetic that a CPU does in a few minutes.

Each run trains one setting for its `steps`, or for the steps that its `flops` pay for, so that a GPU can stand in for
the CPU: losses depend on the steps, not on the device. Prints one JSON object a line.

    python benchmarks/sweep.py DATA --grid grid.json --workers 12 > sweep.jsonl

DATA holds folders with `shards/` inside, as runs have; grid.json is a list of {"data", "hidden", "layers", "context",
"batch", "lr", "steps", ...} objects; `train_one` says what else may stand in them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
import torch.multiprocessing as multiprocessing

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.shard import TokenShard
from textus.dataset.split import TokenSplit
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.measure import measure
from textus.training.loop import TrainState, train
from textus.training.precision import Precision
from textus.training.recipe import Recipe


def shape(run: dict, vocab_size: int) -> ModelConfig:
    hidden = run["hidden"]
    head = run.get("head", 32 if hidden < 256 else 64)
    return ModelConfig(
        vocab_size=vocab_size,
        context_length=run["context"],
        num_layers=run["layers"],
        hidden_size=hidden,
        num_heads=hidden // head,
        num_kv_heads=hidden // head,
        head_size=head,
        intermediate_size=max(32, round(hidden * run.get("wide", 8 / 3) / 32) * 32),
        dropout=run.get("dropout", 0.0),
        tied_embeddings=run.get("tied", True),
    )


def open_split(directory: Path, name: str) -> TokenSplit:
    return TokenSplit(name, [TokenShard.open(file) for file in sorted(directory.glob(f"{name}-*"))], "")


def train_one(run: dict, root: Path, device: str) -> dict:
    split, held = (open_split(root / run["data"] / "shards", name) for name in ("train", "validation"))
    seed = run.get("seed", 1)
    config = shape(run, split.vocab_size)
    rows = max(1, run["batch"] // run["context"])
    flops = run.get("flops", 0) / config.flops_per_token() / (rows * run["context"])
    steps = run.get("steps") or max(10, round(flops))
    recipe = Recipe(
        seed=seed,
        steps=steps,
        batch_tokens=rows * run["context"],
        micro_batch_tokens=rows * run["context"],
        optimizer=run.get("optimizer", "adamw"),
        learning_rate=run["lr"],
        weight_decay=run.get("wd", 0.1),
        beta2=run.get("beta2", 0.999),
        schedule=run.get("schedule", "wsd"),
        warmup_steps=max(1, round(run.get("warmup", 0.2) * steps)),
        precision=run.get("precision", "bf16"),
        device=device,
        threads=1,
    )
    model = Transformer(config, seed=seed).to(device)
    loader = Loader(Windows(split, run["context"], 1, seed), rows)
    began, cpu = time.time(), time.process_time()
    for step in train(model, loader, Causal(), recipe, TrainState.start(model, recipe)):
        loss = step.loss
    seconds, cpu = time.time() - began, time.process_time() - cpu
    ordered = Windows(held, run["context"], 1, 0, ordered=True)
    chunks = (ordered.rows(range(at, min(at + 64, ordered.per_epoch))) for at in range(0, ordered.per_epoch, 64))
    found = measure(model, Causal(), chunks, device, Precision(recipe.precision, device).autocast)
    bits = float(found.total) / math.log(2) / held.num_bytes
    epochs = steps * rows * run["context"] / split.num_tokens
    extra = {"bpb": bits, "steps": steps, "epochs": epochs, "params": config.num_parameters(), "train_loss": loss}
    return {**run, **extra, "seconds": seconds, "cpu_seconds": cpu}


def work(queue, results, root: Path, device: str) -> None:
    torch.set_num_threads(1)
    while (run := queue.get()) is not None:
        try:
            results.put(train_one(run, root, device))
        except Exception as error:
            results.put({**run, "error": repr(error)})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    grid = json.loads(options.grid.read_text())
    context = multiprocessing.get_context("spawn")
    queue, results = context.Queue(), context.Queue()
    for run in grid:
        queue.put(run)
    for _ in range(options.workers):
        queue.put(None)
    arguments = (queue, results, options.root, options.device)
    workers = [context.Process(target=work, args=arguments) for _ in range(options.workers)]
    for worker in workers:
        worker.start()
    for _ in grid:
        print(json.dumps(results.get()), flush=True)
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    sys.exit(main())
