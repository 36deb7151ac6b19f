"""What each part of the training step is worth on one GPU: the same steps with one thing changed at a time.

    python benchmarks/step_parts.py SHARDS --names base micro-128k --profile kernels.txt

SHARDS is a folder of token shards (RUN/shards). Variants run one after the other in this process; each says its speed,
its share of what the device can do, and its peak memory. `--profile` writes the kernels of the first one by their time.
`--check` first compares the losses of 20 steps with those of plain float32, and with those of the same steps again. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.shard import TokenShard
from textus.dataset.split import TokenSplit
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives import cross_entropy
from textus.objectives.causal import Causal
from textus.training import machine
from textus.training.loop import Step, TrainState, train
from textus.training.recipe import Recipe

UNCOUNTED = 5
"""First steps: they pay for memory and compilation."""
PROFILED = 4
ACTIVITIES = {
    "cpu": [torch.profiler.ProfilerActivity.CPU],
    "cuda": [torch.profiler.ProfilerActivity.CUDA],
}
SHAPES = {
    "124m": (12, 768, 6, 128, 2048),
    "124m-heads-of-64": (12, 768, 12, 64, 2048),
    "39m": (8, 512, 8, 64, 1856),
    "350m": (24, 1024, 8, 128, 2688),
    "1b": (20, 2048, 16, 128, 5440),
    "toy": (2, 64, 2, 32, 160),
}
"""Layers, width, heads, their size, width inside the feed-forward."""
K = 1024
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "eager": {"compile": "off"},
    "muon": {"optimizer": "muon"},
    "micro-32k": {"micro": 32 * K},
    "micro-64k": {"micro": 64 * K},
    "micro-128k": {"micro": 128 * K},
    "step-32k": {"batch": 32 * K, "micro": 32 * K},
    "step-32k-muon": {"batch": 32 * K, "micro": 32 * K, "optimizer": "muon"},
    "step-512k": {"batch": 512 * K},
    "dropout": {"dropout": 0.1},
    "heads-of-64": {"shape": "124m-heads-of-64"},
    "step-32k-muon-recorded": {"batch": 32 * K, "micro": 32 * K, "optimizer": "muon", "record": "on"},
    "39m": {"shape": "39m", "batch": 32 * K, "micro": 32 * K, "optimizer": "muon"},
    "39m-recorded": {"shape": "39m", "batch": 32 * K, "micro": 32 * K, "optimizer": "muon", "record": "on"},
    "350m": {"shape": "350m"},
    "350m-micro-32k": {"shape": "350m", "micro": 32 * K},
    "350m-muon": {"shape": "350m", "optimizer": "muon"},
    "logits-1g": {"logits": 2**29},
    "logits-whole": {"logits": 2**40},
    "descent": {"inductor": {"coordinate_descent_tuning": True}},
    "no-mixed-reductions": {"inductor": {"triton.mix_order_reduction": False}},
    "products-tuned": {"inductor": {"max_autotune_gemm": True, "max_autotune_gemm_backends": "ATEN,TRITON"}},
}
"""What differs from the base: 12 x 768, 131,072 tokens a step in two micro-batches, AdamW, compiled."""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--names", nargs="*", default=["base"], choices=sorted(VARIANTS))
    parser.add_argument("--shape", default="124m", choices=sorted(SHAPES))
    parser.add_argument("--context", type=int, default=K)
    parser.add_argument("--batch", type=int, default=128 * K)
    parser.add_argument("--micro", type=int, default=64 * K)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--compile", default="on")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


@contextmanager
def changed(wanted: dict[str, Any]) -> Iterator[None]:
    """Change what is no setting of a run."""
    with ExitStack() as stack:
        if "inductor" in wanted:
            import torch._inductor.config as inductor

            stack.enter_context(inductor.patch(wanted["inductor"]))
        if "logits" in wanted:
            before = cross_entropy.GPU_LOGITS
            cross_entropy.GPU_LOGITS = wanted["logits"]
            stack.callback(setattr, cross_entropy, "GPU_LOGITS", before)
        yield


def model_config(shape: str, context: int, vocab_size: int, dropout: float) -> ModelConfig:
    layers, width, heads, head, inside = SHAPES[shape]
    return ModelConfig(vocab_size, context, layers, width, heads, heads, head, inside, dropout=dropout)


def measured(options: argparse.Namespace, wanted: dict[str, Any], split: TokenSplit, profile: Path | None) -> Any:
    """Take steps of one variant, and return what it came to."""
    config = model_config(
        wanted.get("shape", options.shape), options.context, split.vocab_size, wanted.get("dropout", 0)
    )
    recipe = Recipe(
        steps=options.steps,
        batch_tokens=wanted.get("batch", options.batch),
        micro_batch_tokens=wanted.get("micro", options.micro),
        warmup_steps=5,
        precision=options.precision,
        device=options.device,
        compile=wanted.get("compile", options.compile),
        optimizer=wanted.get("optimizer", "adamw"),
        record=wanted.get("record", "off"),
    )
    model = Transformer(config, 1).to(options.device)
    loader = Loader(Windows(split, options.context, 1, 1), recipe.rows(options.context))
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began, start, steps = time.perf_counter(), 0.0, list[Step]()
    last = recipe.steps - PROFILED if profile else recipe.steps
    with ExitStack() as stack:
        recorder = None
        for step in train(model, loader, Causal(), recipe, TrainState.start(model, recipe)):
            start = start or time.perf_counter() - began
            steps.append(step)
            if profile and step.number == last:
                recorder = stack.enter_context(
                    torch.profiler.profile(activities=ACTIVITIES[options.device], acc_events=True)
                )
        if options.device == "cuda":
            torch.cuda.synchronize()
    if profile and recorder:
        kernels = sorted(recorder.key_averages(), key=lambda kernel: -kernel.self_device_time_total)
        total = sum(kernel.self_device_time_total for kernel in kernels)
        lines = [f"{total / PROFILED / 1000:9.3f} ms a step in all kernels"]
        lines += [
            f"{kernel.self_device_time_total / PROFILED / 1000:9.3f} ms {kernel.count / PROFILED:7.1f} x  "
            + kernel.key[:99]
            for kernel in kernels[:40]
        ]
        profile.write_text("\n".join(lines) + "\n", "utf-8")
    counted = steps[UNCOUNTED : last - 1]
    seconds = statistics.median(step.seconds for step in counted)
    speed, name = steps[0].positions / seconds, machine.device_name(options.device)
    peak = machine.peak_flops(name, options.precision)
    return {
        "parameters": config.num_parameters(),
        "tokens_per_step": steps[0].positions,
        "step_ms": round(1000 * seconds, 2),
        "tokens_per_second": round(speed),
        "mfu_percent": None if peak is None else round(100 * speed * config.flops_per_token() / peak, 1),
        "first_step_seconds": round(start, 1),
        "used_mib": machine.peak_bytes(options.device) >> 20,
        "last_loss": round(steps[-1].loss, 4),
    }


def losses(options: argparse.Namespace, split: TokenSplit, shift: float = 0.0, **changes: Any) -> list[float]:
    """Return the losses of 20 steps of 16 windows, in two micro-batches, weights first moved by the share `shift`."""
    rows = {"batch_tokens": 16 * options.context, "micro_batch_tokens": 8 * options.context}
    recipe = Recipe(steps=20, warmup_steps=5, learning_rate=6e-4, device=options.device, **rows, **changes)
    model = Transformer(model_config(options.shape, options.context, split.vocab_size, 0.0), 1).to(options.device)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters() if shift else ():
            weight *= 1 + shift * torch.randn_like(weight)
    loader = Loader(Windows(split, options.context, 1, 1), recipe.rows(options.context))
    return [step.loss for step in train(model, loader, Causal(), recipe, TrainState.start(model, recipe))]


def checked(options: argparse.Namespace, split: TokenSplit) -> dict[str, Any]:
    """Compare losses with those of the plainest arithmetic, and with their own.

    What arithmetic alone does within 20 steps is told by float32 whose first weights are moved by as much as bf16
    rounds them.
    """
    ours = {"precision": options.precision, "compile": options.compile}
    plain, again = losses(options, split), losses(options, split, **ours)
    others = {
        "ours": losses(options, split, **ours),
        "eager": losses(options, split, precision=options.precision),
        "recorded": losses(options, split, **ours, record="on"),
        "compiled float32": losses(options, split, compile=options.compile),
        "float32, first weights moved by 2^-9": losses(options, split, 2**-9),
    }
    return {"same_again": others["ours"] == again} | {
        name: {
            "first_off_percent": round(100 * abs(found[0] / plain[0] - 1), 4),
            "most_off_percent": round(100 * max(abs(a / b - 1) for a, b in zip(found, plain, strict=True)), 3),
            "at": max(range(len(plain)), key=lambda step: abs(found[step] / plain[step] - 1)) + 1,
            "last": round(found[-1], 4),
        }
        for name, found in ({"float32": plain} | others).items()
    }


def main() -> None:
    options = parsed()
    split = TokenSplit("train", [TokenShard.open(file) for file in sorted(options.shards.glob("train-*"))], "")
    found: dict[str, Any] = {}
    if options.check:
        found["check"] = checked(options, split)
        print("check", json.dumps(found["check"]), flush=True)
    for number, name in enumerate(options.names):
        try:
            with changed(VARIANTS[name]):
                found[name] = measured(options, VARIANTS[name], split, options.profile if not number else None)
        except RuntimeError as error:  # one variant that does not fit must not cost the others
            found[name] = {"error": str(error)[:300]}
        print(name, json.dumps(found[name]), flush=True)
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
    device = torch.cuda.get_device_name() if options.device == "cuda" else platform.machine()
    print(json.dumps({"benchmark": "step parts", "device": device, "torch": torch.__version__, "variants": found}))


if __name__ == "__main__":
    main()
