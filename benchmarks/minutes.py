"""The best model that a text gives in a given time on one GPU: train on shards, measure all of their validation part.

    python benchmarks/minutes.py SHARDS --steps 1510 --optimizer muon --weight-decay 0.5 --dropout 0.2

SHARDS holds `train-*.tokens` and `validation-*.tokens`, as RUN/shards does. Steps are counted at their median, so that
compilation is left out, as it is for the peers in the table of RESULTS.md. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

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


def split(folder: Path, name: str) -> TokenSplit:
    return TokenSplit(name, [TokenShard.open(path) for path in sorted(folder.glob(f"{name}-*.tokens"))], "")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--steps", type=int, default=1510)
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.5)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    training, validation = split(options.shards, "train"), split(options.shards, "validation")
    heads, width = options.heads, options.width
    precision, compiles = ("bf16", "on") if options.device == "cuda" else ("fp32", "off")
    config = ModelConfig(
        vocab_size=training.shards[0].header.vocab_size,
        context_length=options.context,
        num_layers=options.layers,
        hidden_size=width,
        num_heads=heads,
        num_kv_heads=heads,
        head_size=width // heads,
        intermediate_size=width * 8 // 3 // 64 * 64,
        dropout=options.dropout,
    )
    recipe = Recipe(
        steps=options.steps,
        batch_tokens=options.batch_tokens,
        micro_batch_tokens=options.batch_tokens,
        learning_rate=options.rate,
        warmup_steps=min(100, options.steps // 5),
        weight_decay=options.weight_decay,
        optimizer=options.optimizer,
        precision=precision,
        device=options.device,
        compile=compiles,
        seed=options.seed,
    )
    model = Transformer(config, options.seed).to(options.device)
    rows = recipe.rows(options.context)
    loader = Loader(Windows(training, options.context, 1, options.seed), rows)
    began = time.monotonic()
    seconds = [step.seconds for step in train(model, loader, Causal(), recipe, TrainState.start(model, recipe))]
    wall = time.monotonic() - began
    windows = Windows(validation, options.context, 1, options.seed, ordered=True)
    numbers = range(0, windows.per_epoch, 32)
    batches = (windows.rows(range(first, min(first + 32, windows.per_epoch))) for first in numbers)
    loss = measure(model, Causal(), batches, options.device, Precision(precision, options.device).autocast)
    median = sorted(seconds)[len(seconds) // 2]
    print(
        json.dumps(
            {
                "options": {name: str(value) for name, value in vars(options).items()},
                "parameters": config.num_parameters(),
                "seconds_without_compilation": round(median * options.steps, 1),
                "wall_seconds": round(wall, 1),
                "tokens_asked": int(loss.count),
                "nats_per_token": float(loss.mean),
                "bits_per_byte": float(loss.total) / math.log(2) / validation.num_bytes,
            }
        )
    )


if __name__ == "__main__":
    main()
