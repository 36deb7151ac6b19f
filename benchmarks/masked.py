"""What lets a masked model learn to fill blanks in the minutes of a CPU.

Each run trains one setting for a given CPU time on text that has been packed, and is asked for the hidden tokens of
validation windows, always the same ones. Beside it stands what counting the training text's tokens reaches. Prints one
JSON object a line.

    textus pack demo:sotu -o RUN
    python benchmarks/masked.py RUN --grid grid.json --cpu-seconds 150 > masked.jsonl

grid.json is a list of objects; `train_one` and `shape` say what may stand in them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import textus
from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.model import transformer
from textus.model.config import ModelConfig
from textus.model.hidden import logarithms
from textus.objectives import table
from textus.objectives.config import ObjectiveConfig
from textus.objectives.masked import Masked
from textus.objectives.measure import evaluating
from textus.objectives.objective import IGNORE
from textus.tokenizer.tokenizer import Tokenizer
from textus.training import presets
from textus.training.loop import TrainState, train
from textus.training.recipe import Recipe

ASKED = ("mask_rate", "final_mask_rate", "mask_unit", "masked_share", "random_share", "balance", "mix", "switch_at")


def shape(run: dict, vocab_size: int, objective: ObjectiveConfig) -> ModelConfig:
    hidden, encoder = run.get("hidden", 96), objective.attention == "bidirectional" and objective.offset == 0
    heads = max(1, hidden // run.get("head", 32))
    return ModelConfig(
        vocab_size=vocab_size,
        context_length=run.get("context", 256),
        num_layers=run.get("layers", 3),
        hidden_size=hidden,
        num_heads=heads,
        num_kv_heads=heads,
        head_size=hidden // heads,
        intermediate_size=max(32, round(hidden * 8 / 3 / 32) * 32),
        attention=objective.attention,
        prediction_offset=objective.offset,
        family=run.get("family", "modernbert" if encoder else "qwen3"),
        reads_both_ways=objective.name == "hybrid",
        tied_embeddings=run.get("tied", True),
    )


def train_one(run: dict, directory: Path, budget: float) -> dict:
    shards, tokenizer = textus.Shards.open(directory / "shards"), Tokenizer.load(directory / "tokenizer")
    asked = {name: run[name] for name in ASKED if name in run}
    offset = {"prediction_offset": run["offset"]} if "offset" in run else {}
    objective = ObjectiveConfig(name=run.get("objective", "masked"), **asked, **offset)
    config, seed = shape(run, tokenizer.vocab_size, objective), run.get("seed", 1)
    rows = max(1, run.get("batch", 1024) // config.context_length)
    neighbours = run.get("neighbours", True)  # False: heads begin as they are drawn
    rate = run.get("lr") or presets.learning_rate("muon", config)

    def trained(steps: int, curve: list) -> tuple[transformer.Transformer, float]:
        recipe = Recipe(
            seed=seed,
            steps=steps,
            batch_tokens=rows * config.context_length,
            micro_batch_tokens=rows * config.context_length,
            optimizer=run.get("optimizer", "muon"),
            learning_rate=rate,
            beta2=0.999,
            warmup_steps=max(1, round(run.get("warmup", 0.2) * steps)),
        )
        with mock.patch.object(transformer, "look_around", transformer.look_around if neighbours else mock.Mock()):
            model = transformer.Transformer(config, seed=seed)
        built = table.build(objective, tokenizer, rows * steps, seed)
        windows = Windows(shards.split("train"), config.context_length, config.prediction_offset, seed)
        began = time.process_time()
        done = train(model, Loader(windows, rows), built, recipe, TrainState.start(model, recipe))
        curve += [round(step.loss, 3) for step in done if step.number % max(1, steps // 12) == 0]
        return model, time.process_time() - began

    steps = run.get("steps")
    if not steps:
        _, seconds = trained(24, [])
        steps = max(24, int(budget / seconds * 24))
    curve: list = []
    model, seconds = trained(steps, curve)
    found = held_out(model, tokenizer, shards, objective)
    tokens = steps * rows * config.context_length
    extra = {"lr": rate, "steps": steps, "tokens": tokens, "parameters": config.num_parameters(), "curve": curve}
    return {**run, **extra, "cpu_seconds": round(seconds, 1), **found}


def held_out(
    model: transformer.Transformer, tokenizer: Tokenizer, shards: textus.Shards, objective: ObjectiveConfig
) -> dict:
    """Ask for 15 % of the tokens of some validation windows, and count what a word count would say to them."""
    config, split = model.config, shards.split("validation")
    windows = Windows(split, config.context_length, config.prediction_offset, 0, ordered=True)
    question = Masked(table.Vocabulary.of(tokenizer), prediction_offset=config.prediction_offset).validation()
    reading = "bidirectional" if config.reads_both_ways else "config"
    sizes = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)])
    nats, right, labels = [], [], []
    rows = min(windows.per_epoch, 65_536 // config.context_length)
    with evaluating(model), torch.inference_mode():
        for start in range(0, rows, 32):
            batch = question.batch(windows.rows(range(start, min(start + 32, rows))), torch.Generator())
            states = model.encode(batch.tokens, batch.documents, attention=reading)
            places = batch.labels != IGNORE
            likely, label = logarithms(model, states[places]), batch.labels[places]
            nats.append(-likely.gather(1, label[:, None])[:, 0])
            right.append(likely.argmax(1) == label)
            labels.append(label)
    asked = torch.cat(labels).numpy()
    counts = np.ones(tokenizer.vocab_size)
    for shard in shards.split("train").shards:
        counts += np.bincount(np.asarray(shard.tokens), minlength=tokenizer.vocab_size)
    counts[list(tokenizer.special)] = 0
    with np.errstate(divide="ignore"):
        counted = -np.log(counts / counts.sum())[asked]
    read = int(sizes[asked].sum()) * math.log(2)
    return {
        "masked_loss": round(torch.cat(nats).mean().item(), 4),
        "accuracy": round(torch.cat(right).float().mean().item(), 4),
        "bits_per_hidden_byte": round(torch.cat(nats).sum().item() / read, 4),
        "counting": {
            "loss": round(float(counted.mean()), 4),
            "accuracy": round(float((asked == counts.argmax()).mean()), 4),
            "bits_per_hidden_byte": round(float(counted.sum()) / read, 4),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--grid", required=True, help="a file, or the JSON itself")
    parser.add_argument("--cpu-seconds", type=float, default=100.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = options.grid if options.grid.startswith("[") else Path(options.grid).read_text("utf-8")
    for run in json.loads(text):
        print(json.dumps(train_one(run, options.run, options.cpu_seconds)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
