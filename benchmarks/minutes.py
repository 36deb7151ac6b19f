"""The best model that a text gives in a given time on one GPU: train on shards, measure all of their validation part.

    python benchmarks/minutes.py SHARDS --steps 1510 --optimizer muon --weight-decay 0.5 --dropout 0.2
    python benchmarks/minutes.py SHARDS --seconds 18 --grid '[{"layers": 8, "width": 512}, {"rate": 4e-3}]'

SHARDS holds `train-*.tokens` and `validation-*.tokens`, as RUN/shards does. Steps are counted at their median, so that
compilation is left out, as it is for the peers in the table of RESULTS.md. With `--seconds` the steps are those that
fit in them, by a few steps taken before. `--grid` is a list of what differs from the options, a run each. A line of
JSON each.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
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

PROBE = 40
"""Steps that tell how many fit."""


def split(folder: Path, name: str) -> TokenSplit:
    return TokenSplit(name, [TokenShard.open(path) for path in sorted(folder.glob(f"{name}-*.tokens"))], "")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--steps", type=int, default=1510)
    parser.add_argument("--seconds", type=float, default=0.0, help="instead of --steps")
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--head", type=int, default=128)
    parser.add_argument("--optimizer", default="muon")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.5)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--schedule", default="wsd")
    parser.add_argument("--decay", type=float, default=0.4, help="last part of the steps, in which the rate falls")
    parser.add_argument("--ema", type=float, default=0.0, help="decay of an average of the last tenth's weights")
    parser.add_argument("--ramp", type=float, default=0.0, help="first part of the steps, in which the batch grows")
    parser.add_argument("--record", default="on", help="off: send the kernels of each micro-batch one by one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--grid", type=json.loads, default=[{}])
    return parser.parse_args()


def model_config(options: argparse.Namespace, vocab_size: int) -> ModelConfig:
    heads, width = options.width // options.head, options.width
    return ModelConfig(
        vocab_size=vocab_size,
        context_length=options.context,
        num_layers=options.layers,
        hidden_size=width,
        num_heads=heads,
        num_kv_heads=heads,
        head_size=options.head,
        intermediate_size=width * 8 // 3 // 64 * 64,
        dropout=options.dropout,
    )


def recipe_for(options: argparse.Namespace, steps: int) -> Recipe:
    precision, compiles = ("bf16", "on") if options.device == "cuda" else ("fp32", "off")
    return Recipe(
        steps=steps,
        batch_tokens=options.batch_tokens,
        micro_batch_tokens=options.batch_tokens,
        batch_ramp=options.ramp,
        learning_rate=options.rate,
        warmup_steps=min(100, steps // 5),
        schedule=options.schedule,
        decay_fraction=options.decay,
        weight_decay=options.weight_decay,
        optimizer=options.optimizer,
        ema=options.ema or "off",
        swa=0.1 if options.ema else "off",
        precision=precision,
        device=options.device,
        compile=compiles,
        record=options.record,
        seed=options.seed,
    )


def taken(options: argparse.Namespace, training: TokenSplit, steps: int) -> tuple[Transformer, TrainState, list[float]]:
    """Train for so many steps; return the model, its state and what each step took."""
    recipe = recipe_for(options, steps)
    model = Transformer(model_config(options, training.vocab_size), options.seed).to(options.device)
    windows = Windows(training, options.context, 1, options.seed)
    before = None if not options.ramp else (lambda number: recipe.rows_before(number, options.context))
    loader = Loader(windows, recipe.rows(options.context), rows_before=before)
    state = TrainState.start(model, recipe)
    return model, state, [step.seconds for step in train(model, loader, Causal(), recipe, state)]


def run(options: argparse.Namespace, training: TokenSplit, validation: TokenSplit) -> None:
    steps = options.steps
    if options.seconds:
        times = taken(options, training, PROBE)[2]
        steps = int(options.seconds / statistics.median(times[PROBE // 2 :]))
    began = time.monotonic()
    model, state, times = taken(options, training, steps)
    wall = time.monotonic() - began
    windows = Windows(validation, options.context, 1, options.seed, ordered=True)
    numbers = range(0, windows.per_epoch, 32)
    batches = (windows.rows(range(first, min(first + 32, windows.per_epoch))) for first in numbers)
    precision = Precision("bf16" if options.device == "cuda" else "fp32", options.device)
    with state.average.shown():
        loss = measure(model, Causal(), batches, options.device, precision.autocast)
    median = statistics.median(times)
    # where batches grow, a median says nothing: then all steps but the slowest few, which compile
    counted = sum(sorted(times)[: -max(3, steps // 100)]) if options.ramp else median * steps
    shown = {name: str(value) for name, value in vars(options).items() if name != "grid"}
    found = {
        "options": shown | {"steps": str(steps)},
        "parameters": model.config.num_parameters(),
        "seconds_without_compilation": round(counted, 1),
        "wall_seconds": round(wall, 1),
        "tokens": state.tokens,
        "epochs": round(state.tokens / training.num_tokens, 2),
        "tokens_asked": int(loss.count),
        "nats_per_token": round(float(loss.mean), 4),
        "bits_per_byte": round(float(loss.total) / math.log(2) / validation.num_bytes, 4),
    }
    print(json.dumps(found), flush=True)


def main() -> None:
    options = parsed()
    training, validation = split(options.shards, "train"), split(options.shards, "validation")
    for changes in options.grid:
        run(argparse.Namespace(**vars(options) | changes), training, validation)


if __name__ == "__main__":
    main()
