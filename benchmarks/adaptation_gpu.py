"""Adapters against all weights, this package against TRL, and learning from rewards, on one GPU.

    python benchmarks/adaptation_gpu.py make OUT TOKENIZER.json         a network of random weights, as all begin with
    python benchmarks/adaptation_gpu.py ours OUT TALKS.jsonl            all weights, then an adapter: speed and memory
    python benchmarks/adaptation_gpu.py trl OUT                         TRL's SFTTrainer on the same tokens, packed
    python benchmarks/adaptation_gpu.py rewards OUT SMALL.json          sums: accuracy before and after GRPO

`--toy` runs the same on a CPU in shapes that show only that it runs. Each part prints JSON on its last line, and can be
run again or left out. Speeds are tokens that are no padding, by the median second of a step, with its wait for data and
the optimizer in it, behind the first steps, which pay for memory and compilation. Both packages hold weights in float32
and multiply in bf16, take the same number of tokens a step, and the same AdamW, fused.

TRL packs by best fit and asks attention for the borders of each document, which flash-attn would give it; where that is
not installed, torch's own kernel for sequences of different lengths (the same algorithm) stands in for it as `varlen`.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import textus
from textus.adaptation import lora
from textus.adaptation.base import Base, open_base
from textus.adaptation.settings import LoraConfig
from textus.checkpoint.checkpoint import load_model, write_model
from textus.dataset.conversations import conversation
from textus.dataset.examples import Examples, Gathered
from textus.dataset.loader import Loader
from textus.dataset.packing import Packed
from textus.dataset.records import read
from textus.errors import InputError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.instruction import Instruction
from textus.tokenizer.tokenizer import Tokenizer
from textus.training import machine
from textus.training.loop import TrainState, train
from textus.training.recipe import Recipe

CONTEXT, BATCH, SKIPPED = 1024, 16_384, 8


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["make", "ours", "trl", "rewards"])
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=30, help="of each way of learning conversations")
    parser.add_argument("--micro", type=int, nargs="+", default=[4096, 16_384], help="tokens in memory at once")
    parser.add_argument("--seconds", type=float, default=60, help="of learning from rewards, about")
    parser.add_argument("--rate", type=float, nargs="*", default=[], help="of learning from rewards, beside the plan's")
    parser.add_argument("--unchecked", action="store_true", help="do not ask transformers whether it agrees")
    parser.add_argument("--toy", action="store_true")
    return parser.parse_args()


def shape(options: argparse.Namespace, size: str, vocab: int, context: int) -> ModelConfig:
    """Return the shape of 350M or 124M, with as many heads for keys as for queries."""
    layers, heads, width = {"350M": (24, 16, 2816), "124M": (12, 12, 2048)}[size]
    head = 64
    if options.toy:
        layers, heads, head, width = 2, 4, 16, 128
    return ModelConfig(
        vocab_size=vocab, context_length=context, num_layers=layers, hidden_size=heads * head, num_heads=heads,
        num_kv_heads=heads, head_size=head, intermediate_size=width,
    )  # fmt: skip


def made(directory: Path, config: ModelConfig, tokenizer: Tokenizer) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    write_model(directory, Transformer(config, seed=1).to(torch.bfloat16), tokenizer, {})
    return directory


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Write a network of random weights, and see that transformers computes the same with it."""
    tokenizer = Tokenizer.load(options.data)
    vocab = -(-tokenizer.vocab_size // 64) * 64
    config = shape(options, "350M", vocab, 128 if options.toy else CONTEXT)
    directory = made(options.out / "base", config, tokenizer)
    if options.unchecked:
        return {"parameters": config.num_parameters(), "vocab_size": vocab}
    from transformers import AutoModelForCausalLM

    device = "cpu" if options.toy else "cuda"
    theirs = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).to(device).eval()
    ours = load_model(directory, device, torch.float32).eval()
    tokens = torch.randint(vocab, (2, 64), device=device)
    with torch.no_grad():
        difference = float((ours(tokens).logits - theirs(tokens).logits).abs().max())
    assert difference < 1e-3, difference
    return {"parameters": config.num_parameters(), "vocab_size": vocab, "largest_difference": difference}


def learnt(options: argparse.Namespace, base: Base, packed: Packed, micro: int, rank: int = 0) -> dict[str, Any]:
    """Learn conversations by the loop that `textus adapt` has, and return how fast and in how much memory."""
    on_gpu, context = not options.toy, packed.context_length
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    recipe = Recipe(
        steps=options.steps, batch_tokens=8 * context if options.toy else BATCH, learning_rate=2e-4, warmup_steps=3,
        micro_batch_tokens=4 * context if options.toy else micro, device="cuda" if on_gpu else "cpu",
        precision="bf16" if on_gpu else "fp32", compile="on" if on_gpu else "off", weight_decay=0.01,
        record="on" if on_gpu and micro < BATCH else "off",
    )  # fmt: skip
    model = load_model(base.directory, recipe.device, torch.float32)
    if rank:  # as where the model has a template of its own, whose tokens it knows
        lora.attach(model, LoraConfig(rank=rank), 1)
    loader, state = Loader(packed, recipe.rows(context)), TrainState.start(model, recipe)
    steps = list(train(model, loader, Instruction(), recipe, state))
    counted = steps[min(SKIPPED, len(steps) // 2) : -1]
    second = statistics.median(step.seconds for step in counted)
    return {
        "tokens_per_second": round(counted[0].positions * packed.filled / second),
        "step_ms": round(1000 * second, 1),
        "peak_gib": round(machine.peak_bytes(recipe.device) / 2**30, 3),
        "losses": [round(steps[0].loss, 3), round(steps[-1].loss, 3)],
        "wall_seconds": round(time.perf_counter() - began, 1),
    }


def examples(directory: Path) -> Examples:
    return Examples.open(directory, "train", data="", tokenizer="")


def ours(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Learn by all weights and by an adapter with few tokens in memory, then by all weights with many."""
    base = open_base(options.out / "base")
    context = base.opened.config.context_length
    gathered = Gathered(base.opened.tokenizer.vocab_size)
    for record in read(options.data):
        try:
            found = conversation(record)
        except InputError:
            continue  # as with data.faulty=skip
        tokens, asked = base.turns.encode(found.messages, "assistant")
        if any(asked[1 : context + 1]):
            gathered.add(tokens[: context + 1], asked[: context + 1])
    gathered.examples("train").save(options.out)
    packed = Packed(examples(options.out), context, 1)
    yield "data", {"tokens": packed.split.num_tokens, "filled": packed.filled, "rows": packed.per_epoch}
    both = {}
    for name, rank in (("full", 0), ("lora", 16)):
        both[name] = learnt(options, base, packed, options.micro[0], rank)
        yield name, both[name]
        free()
    ratios = {what: both["lora"][what] / both["full"][what] for what in ("tokens_per_second", "peak_gib")}
    yield "lora of full", {what: round(ratio, 3) for what, ratio in ratios.items()}
    for micro in options.micro[1:]:
        for name, rank in (("full", 0), ("lora", 16)):
            yield f"{name}, {micro} at once", learnt(options, base, packed, micro, rank)
            free()


def free() -> None:
    """Give back what a model that is gone has held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def varlen(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, scaling: float | None = None,
    dropout: float = 0.0, cu_seq_lens_q: Any = None, max_length_q: Any = None, **others: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attend within each document by torch's kernel, as transformers calls an attention."""
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = (part[0].transpose(0, 1).to(torch.bfloat16).contiguous() for part in (query, key, value))
    where = cu_seq_lens_q.to(q.device, torch.int32)
    try:
        found = varlen_attn(q, k, v, where, where, int(max_length_q), int(max_length_q), window_size=(-1, 0))
    except TypeError:
        found = varlen_attn(q, k, v, where, where, int(max_length_q), int(max_length_q), is_causal=True)
    return found.unsqueeze(0).to(query.dtype), None


def trl(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Let TRL learn the same conversations in several ways."""
    from datasets import Dataset
    from transformers import AttentionInterface

    AttentionInterface.register("varlen", varlen)
    context = 128 if options.toy else CONTEXT
    found = examples(options.out)
    offsets = found.offsets.tolist()
    rows = [slice(start, stop) for start, stop in itertools.pairwise(offsets)]
    data = Dataset.from_dict(
        {
            "input_ids": [found.tokens[row][:context].tolist() for row in rows],
            "labels": [
                np.where(found.asked[row], found.tokens[row].astype(np.int64), -100)[:context].tolist() for row in rows
            ],
        }
    )
    flash = "sdpa" if options.toy else "varlen"
    liger, wrapped = {"use_liger_kernel": True}, {"packing_strategy": "wrapped", "attention": "sdpa"}
    compiles = {"torch_compile": True}
    ways: dict[str, dict[str, Any]] = {
        "borders, liger": {"attention": flash, **liger},
        "borders, liger, compiled": {"attention": flash, **liger, **compiles, "pad_to_multiple_of": BATCH},
        "no borders (wrapped), compiled": {**wrapped, **compiles},
        "no borders (wrapped), liger": {**wrapped, **liger},
        "borders": {"attention": flash},
        "sdpa with a mask of borders": {"attention": "sdpa", "rows": 4},
    }
    for name, way in ways.items():
        if options.toy and ("liger" in name or "compiled" in name):
            continue
        try:
            yield name, trained_by_trl(options, data, context, dict(way))
        except Exception as error:  # one way that fails must not hide the others
            yield name, {"failed": f"{type(error).__name__}: {error}"[:300]}


def trained_by_trl(options: argparse.Namespace, data: Any, context: int, way: dict[str, Any]) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    on_gpu = not options.toy
    rows = way.pop("rows", 8 if options.toy else BATCH // context)
    steps = (8 if options.toy else BATCH // context) // rows
    attention = way.pop("attention")
    began = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        options.out / "base", dtype=torch.float32, attn_implementation=attention
    )
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    ends: list[float] = []
    tokens: list[int] = [0]
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if on_gpu:
                torch.cuda.synchronize()
            ends.append(time.perf_counter())
            tokens.append(0)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **__: Any) -> None:
            losses.extend([logs["loss"]] if "loss" in (logs or {}) else [])

    class Counted(SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *rest: Any, **others: Any) -> Any:
            tokens[-1] += inputs["input_ids"].numel()
            return super().training_step(model, inputs, *rest, **others)

    chosen: dict[str, Any] = {
        "packing": True, "packing_strategy": "bfd", "max_length": context, "bf16": on_gpu, "use_cpu": options.toy,
        "per_device_train_batch_size": rows, "gradient_accumulation_steps": steps, "max_steps": options.steps,
        "optim": "adamw_torch_fused", "learning_rate": 2e-4, "gradient_checkpointing": False, "logging_steps": 5,
        "save_strategy": "no", "report_to": "none", "output_dir": str(options.out / "trl"), "disable_tqdm": True,
        "dataloader_num_workers": 0 if options.toy else 2, "seed": 1, **way,
    }  # fmt: skip
    trainer = Counted(model=model, args=SFTConfig(**chosen), train_dataset=data, callbacks=[Clock()])
    trainer.train()
    seconds = [after - before for before, after in itertools.pairwise(ends)]
    skipped = min(SKIPPED, len(seconds) // 2)
    step = statistics.median(seconds[skipped:])
    return {
        "tokens_per_second": round(statistics.median(tokens[1 + skipped : -1]) / step),
        "step_ms": round(1000 * step, 1),
        "rows": rows,
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 3) if on_gpu else 0.0,
        "losses": losses[:: max(1, len(losses) - 1)],
        "wall_seconds": round(time.perf_counter() - began, 1),
    }


def rewards(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Teach sums until some are right, then let rewards teach others; accuracy is measured on a third kind."""
    held = 20 if options.toy else 200
    asked = [(f"{a} + {b} + {c} =", a + b + c) for a, b, c in itertools.product(range(10), repeat=3)]
    random.Random(3).shuffle(asked)
    files = {}
    for name, rows in {
        "held-out": [{"prompt": prompt, "answer": answer} for prompt, answer in asked[:held]],
        "prompts": [{"prompt": prompt, "answer": answer} for prompt, answer in asked[held::2]],
        "talks": [{"prompt": prompt, "completion": f"{answer}"} for prompt, answer in asked[held + 1 :: 2]],
    }.items():
        files[name] = options.out / f"{name}.jsonl"
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text("\n".join(map(json.dumps, rows)))
    tokenizer = Tokenizer.load(options.data)
    start = made(options.out / "sums", shape(options, "124M", tokenizer.vocab_size, 64), tokenizer)
    common = {"training.evaluate_every": 100_000, "training.checkpoint_every": 100_000, "training.compile": "off"}
    grpo = {**common, "reward": "number", "answer_tokens": 8, "data.validation": [str(files["held-out"])]}
    for turn in range(1 if options.toy else 3):
        settings = {**common, "training.steps": 10 if options.toy else 60, "training.learning_rate": 5e-4, "answers": 0}
        settings |= {"training.batch_tokens": 2048 if options.toy else 8192, "training.optimizer": "adamw"}
        start = textus.adapt(
            start, files["talks"], method="instruct", out=options.out / f"taught-{turn}", settings=settings
        ).directory
        first = {**grpo, "training.steps": 1, "training.learning_rate": 1e-9}
        looked = textus.adapt(
            start, files["prompts"], method="grpo", out=options.out / f"looked-{turn}", settings=first
        )
        before = next(score["value"] for score in looked.facts["before"] if score["name"] == "accuracy")
        yield f"taught-{turn}", {"accuracy": before, "attempts": looked.facts["rounds"][0]["reward"]}
        if before >= 0.15:
            break
    steps = 4
    rates: list[float | None] = [None, *options.rate]
    for number, rate in enumerate([None, *rates]):
        settings = {**grpo, "training.steps": steps, **({"training.learning_rate": rate} if rate else {})}
        began = time.perf_counter()
        found = textus.adapt(
            start, files["prompts"], method="grpo", out=options.out / f"rewarded-{number}", settings=settings
        )
        seconds = found.facts["training"]["seconds"]
        rounds = [one["reward"] for one in found.facts["rounds"]]
        size = max(1, len(rounds) // 8)
        yield (
            f"rewarded-{number}",
            {
                "rate": json.loads((found.directory / "plan.json").read_text())["training"]["learning_rate"],
                "steps": steps,
                "training_seconds": round(seconds, 1),
                "wall_seconds": round(time.perf_counter() - began, 1),
                "before": {score["name"]: [score["value"], score["error"]] for score in found.facts["before"]},
                "after": {score.name: [score.value, score.error] for score in found.scores},
                "rewards": [round(statistics.mean(rounds[at : at + size]), 3) for at in range(0, len(rounds), size)],
            },
        )
        if not number:  # the first one only shows how long a step takes
            lines = (found.directory / "metrics.jsonl").read_text().splitlines()
            each = statistics.median(json.loads(line)["seconds"] for line in lines[len(lines) // 2 :])
            steps = 8 if options.toy else max(10, int(options.seconds / len(rates) / each))


def main() -> None:
    options = parsed()
    part = {"make": make, "ours": ours, "trl": trl, "rewards": rewards}[options.part]
    said = part(options)
    found = said if isinstance(said, dict) else {}
    for name, value in () if isinstance(said, dict) else said:
        found[name] = value
        print(name, json.dumps(value), flush=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(json.dumps({"part": options.part, "device": device, "torch": torch.__version__, **found}))


if __name__ == "__main__":
    main()
