"""What a context costs on one GPU, and how far the plan of its memory is off: three shapes, three contexts.

    python benchmarks/contexts.py [--shapes 124m 350m 1b] [--contexts 1024 4096 16384] [--tokens 32768]

Each row of tokens is one long document of random tokens, so that attention looks back as far as it can. A step is one
micro-batch of `--tokens`. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step_parts import SHAPES, model_config

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.shard import ShardWriter, TokenShard
from textus.dataset.split import TokenSplit
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.training import machine
from textus.training.config import TrainConfig
from textus.training.cost import memory
from textus.training.loop import TrainState, train
from textus.training.recipe import Recipe

VOCABULARY = 16_384
STEPS, UNCOUNTED = 6, 3


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["124m", "350m", "1b"], choices=sorted(SHAPES))
    parser.add_argument("--contexts", type=int, nargs="+", default=[1024, 4096, 16_384])
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--compile", default="on")
    return parser.parse_args()


def long_text(folder: Path, tokens: int) -> TokenSplit:
    """Write documents that are longer than any context."""
    path, draw = folder / "train-00000.tokens", np.random.default_rng(0)
    with ShardWriter(path, VOCABULARY, "none", 0) as writer:
        for number in range(4):
            writer.append(str(number), draw.integers(1, VOCABULARY, tokens).astype(np.uint16), 4 * tokens)
    return TokenSplit("train", [TokenShard.open(path)], "")


def measured(options: argparse.Namespace, model: Transformer, split: TokenSplit, context: int) -> dict[str, Any]:
    config = model.config = replace(model.config, context_length=context)  # by which rows are counted
    recipe = Recipe(
        steps=STEPS,
        batch_tokens=options.tokens,
        micro_batch_tokens=options.tokens,
        precision=options.precision,
        device=options.device,
        compile=options.compile,
    )
    under_us = machine.look(TrainConfig(device=options.device, precision=options.precision))
    # the model is there already, and a part of the plan
    planned = memory(config, recipe, replace(under_us, base_bytes=0)).total
    loader = Loader(Windows(split, context, 1, 1), recipe.rows(context))
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps = list(train(model, loader, Causal(), recipe, TrainState.start(model, recipe)))
    used = machine.peak_bytes(options.device)
    speed = options.tokens / statistics.median(step.seconds for step in steps[UNCOUNTED:-1])
    peak = machine.peak_flops(under_us.name, options.precision)
    return {
        "parameters": config.num_parameters(),
        "context": context,
        "gigaflops_per_token": round(config.flops_per_token() / 1e9, 3),
        "tokens_per_second": round(speed),
        "mfu_percent": None if peak is None else round(100 * speed * config.flops_per_token() / peak, 1),
        "planned_mib": planned >> 20,
        "used_mib": used >> 20,
        "plan_off_percent": round(100 * (planned / used - 1), 1),
    }


def main() -> None:
    options = parsed()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        split = long_text(Path(folder), 20 * max(options.contexts))
        for shape in options.shapes:
            # one model for all contexts: to draw a billion numbers takes longer than the steps
            model = Transformer(model_config(shape, max(options.contexts), VOCABULARY, 0.0), 1).to(options.device)
            for context in options.contexts:  # the angles of positions do not depend on how many there are
                found.append({"shape": shape, **measured(options, model, split, context)})
                print(json.dumps(found[-1]), flush=True)
                model.zero_grad(set_to_none=True)
                gc.collect()
                if options.device == "cuda":
                    torch.cuda.empty_cache()
            del model
            gc.collect()
    print(json.dumps({"benchmark": "contexts", "torch": torch.__version__, "rows": found}))


if __name__ == "__main__":
    main()
