"""Which shape, batch and rate give the lowest loss for the arithmetic that a CPU does in a few minutes.

Each run trains one setting for a fixed number of floating point operations (`--gigaflops` a second times `--seconds`),
so that a GPU can stand in for the CPU: losses depend on the steps, not on the device. Prints one JSON object a line.

    python benchmarks/sweep.py DATA... --grid grid.json --workers 12 > sweep.jsonl

DATA are folders with `shards/` and `tok/` inside; grid.json is a list of {"data", "hidden", "layers", "context",
"batch", "lr", ...} objects.
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

from textus.dataset.pack import Windows
from textus.dataset.shard import TokenShard
from textus.dataset.split import TokenSplit
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.measure import measure
from textus.training.schedule import factor


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
    model = Transformer(config, seed=seed).to(device)
    if "spread" in run:
        with torch.no_grad():
            model.embedding.weight.mul_(run["spread"] / 0.02)
    if "matrix" in run:  # first weights of the blocks' matrices, times 1 / sqrt(fan in)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim == 2 and name.startswith("blocks"):
                    weight.mul_(run["matrix"] / weight.shape[1] ** 0.5 / 0.02)
    windows = Windows(split, run["context"], 1, seed)
    rows = max(1, run["batch"] // run["context"])
    tokens = run["flops"] / config.flops_per_token()
    steps = max(10, round(tokens / (rows * run["context"])))
    decayed = [p for n, p in model.named_parameters() if p.ndim == 2 and "embedding" not in n]
    plain = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embedding" not in n)]
    groups = [{"params": decayed, "weight_decay": run.get("wd", 0.1)}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=run["lr"], betas=(0.9, run.get("beta2", 0.99)), fused=True)
    objective, generator = Causal(), torch.Generator()
    torch.manual_seed(seed)
    warmup = max(10, round(run.get("warmup", 0.05) * steps))
    began = time.time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = run["lr"] * factor(run.get("schedule", "linear"), step + 1, steps, warmup_steps=warmup)
        batch = objective.batch(windows.rows(range(step * rows, (step + 1) * rows)), generator).to(device)
        with torch.autocast(device, torch.bfloat16):
            loss = objective.loss(model, batch)
        (loss.total / loss.count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.get("clip", 1.0))
        optimizer.step()
        optimizer.zero_grad()
    ordered = Windows(held, run["context"], 1, 0, ordered=True)
    chunks = (ordered.rows(range(at, min(at + 64, ordered.per_epoch))) for at in range(0, ordered.per_epoch, 64))
    found = measure(model, objective, chunks, device)
    bits = float(found.total) / math.log(2) / held.num_bytes
    epochs = steps * rows * run["context"] / split.num_tokens
    extra = {"bpb": bits, "steps": steps, "epochs": epochs, "params": config.num_parameters()}
    return {**run, **extra, "seconds": time.time() - began}


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
