"""How fast a masked model learns, beside the Trainer of transformers with ModernBertForMaskedLM, on one GPU.

    python benchmarks/encoders.py OUT/shards TOKENIZER_FOLDER [--only ours-31m ...]

Same depth, widths, vocabulary, text, tokens a step, 30 % hidden, bf16, and every layer sees everything on both sides.
Tokens counted are those of the text. Theirs packs rows of 512 tokens end to end (as run_mlm does; nothing keeps
documents apart, so that its attention needs no mask), or pads natural documents with its sampler by length (`padded`);
compiled, SDPA, fused AdamW, its loss on all positions or, with `sparse_prediction`, on hidden ones. Ours packs rows
of documents that do not see each other: the ModernBERT shape, and the Qwen3 shape with offset 1.

Each variant is a process: all compile at the same time, and are timed one after the other. A line of JSON each.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

SHAPES = {"31m": (12, 384, 1280, 65_536), "150m": (22, 768, 1152, 32_768), "toy": (2, 64, 128, 1024)}
"""Layers, width, width inside the feed-forward, tokens a step."""
CONTEXT = 512
PATIENCE = 90.0
"""Seconds that a variant waits for the others to have compiled."""


def variants() -> list[str]:
    kinds = ("ours-encoder", "ours-offset-1", "theirs", "theirs-sparse", "theirs-padded")
    return [
        f"{kind}-{shape}" for shape in ("31m", "150m") for kind in kinds if (kind, shape) != ("theirs-padded", "150m")
    ]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("data", type=Path, help="holds tokenizer.json")
    parser.add_argument("--only", nargs="*", default=variants())
    parser.add_argument("--warm", type=int, default=12, help="steps that are not timed")
    parser.add_argument("--timed", type=int, default=40)
    parser.add_argument("--variant", default="", help="this one, in this process")
    parser.add_argument("--meet", type=Path, default=Path("/tmp/textus-encoders"))
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


class Clock:
    """Times steps when every other process has warmed up, and none is timed; the device is waited for twice only."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._began = 0.0
        self._lock: Any = None
        self.seconds = 0.0
        """Of a step."""

    def done(self, step: int) -> bool:
        """Take note that a step has been sent; tell whether enough have been timed."""
        warm, timed = self._options.warm, self._options.timed
        if step not in (warm, warm + timed):
            return step > warm + timed
        self._settle()
        if step == warm:
            self._meet()
            self._began = time.perf_counter()
            return False
        self.seconds = (time.perf_counter() - self._began) / timed
        self._lock.close()
        return True

    def _settle(self) -> None:
        if self._options.device == "cuda":
            torch.cuda.synchronize()

    def _meet(self) -> None:
        meet, began = self._options.meet, time.monotonic()
        (meet / f"{self._options.variant}.warm").touch()
        while len(list(meet.glob("*.warm"))) < len(self._options.only) and time.monotonic() - began < PATIENCE:
            time.sleep(0.05)
        self._lock = (meet / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)


def ours(options: argparse.Namespace, shape: str, kind: str, clock: Clock) -> dict[str, Any]:
    import babylm

    from textus.dataset.loader import Loader
    from textus.dataset.pack import Windows
    from textus.model.config import ModelConfig
    from textus.model.transformer import Transformer
    from textus.objectives.config import ObjectiveConfig
    from textus.objectives.table import build
    from textus.training.loop import TrainState, train
    from textus.training.recipe import Recipe

    layers, width, inner, tokens = SHAPES[shape]
    offset: Any = 1 if kind.endswith("offset-1") else 0
    split, on_gpu = babylm.split(options.shards, "train"), options.device == "cuda"
    asked = ObjectiveConfig(name="masked", prediction_offset=offset, mask_rate=0.3, final_mask_rate=0.3)
    config = ModelConfig(
        vocab_size=split.vocab_size, context_length=CONTEXT, num_layers=layers, hidden_size=width,
        num_heads=width // 64, num_kv_heads=width // 64, head_size=64, intermediate_size=inner,
        attention="bidirectional", prediction_offset=offset, family="qwen3" if offset else "modernbert",
    )  # fmt: skip
    recipe = Recipe(
        steps=options.warm + options.timed + 10, batch_tokens=tokens, micro_batch_tokens=tokens, warmup_steps=5,
        precision="bf16" if on_gpu else "fp32", device=options.device, compile="on" if on_gpu else "off",
        record="on" if shape == "31m" else "off",
    )  # fmt: skip
    model = Transformer(config).to(options.device)
    loader = Loader(Windows(split, CONTEXT, offset, 1), recipe.rows(CONTEXT))
    objective = build(asked, babylm.opened(options.data), recipe.steps * recipe.rows(CONTEXT), 1)
    for step in train(model, loader, objective, recipe, TrainState.start(model, recipe)):
        loss = step.loss
        if clock.done(step.number):
            break
    return {"parameters": config.num_parameters(), "tokens_a_step": tokens, "loss": loss}


def theirs(options: argparse.Namespace, shape: str, kind: str, clock: Clock) -> dict[str, Any]:
    import babylm
    from transformers import (
        DataCollatorForLanguageModeling,
        ModernBertConfig,
        ModernBertForMaskedLM,
        PreTrainedTokenizerFast,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    layers, width, inner, tokens = SHAPES[shape]
    split, on_gpu = babylm.split(options.shards, "train"), options.device == "cuda"
    config = ModernBertConfig(
        vocab_size=split.vocab_size, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=width // 64, max_position_embeddings=CONTEXT, layer_types=["full_attention"] * layers,
        pad_token_id=0, bos_token_id=0, eos_token_id=0, cls_token_id=0, sep_token_id=0, decoder_bias=False,
        sparse_prediction=kind.endswith("sparse"), attn_implementation="sdpa",
    )  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(options.data / "tokenizer.json"), mask_token="<|mask|>", pad_token="<|eos|>"
    )
    padded, rows = kind.endswith("padded"), tokens // CONTEXT
    everything, offsets = np.asarray(split.shards[0].tokens), split.offsets
    if padded:
        few = range(min(len(offsets) - 1, 120_000))
        # END is the padding here too, and a row must not seem to be all padding: the ENDs stay outside
        examples = [{"input_ids": everything[offsets[n] + 1 : offsets[n + 1] - 1][:CONTEXT].astype(int)} for n in few]
        mean = statistics.mean(len(one["input_ids"]) for one in examples)
        rows = round(tokens / mean)
    else:
        count = min(len(everything) // CONTEXT, 2 * rows * (options.warm + options.timed + 10))
        examples = [{"input_ids": row.astype(int)} for row in everything[: count * CONTEXT].reshape(-1, CONTEXT)]
    seen: list[torch.Tensor] = []  # on the device, which must not be waited for

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> Any:
            control.should_training_stop = clock.done(state.global_step)
            return control

    class Counted(DataCollatorForLanguageModeling):  # type: ignore[misc]
        def torch_call(self, given: Any) -> Any:
            batch = super().torch_call(given)
            batch["real"] = torch.tensor([sum(len(one["input_ids"]) for one in given)])
            return batch

    class Asks(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, **others: Any) -> Any:
            seen.append(inputs.pop("real"))
            return super().compute_loss(model, inputs, **others)

    named = "train_sampling_strategy" in TrainingArguments.__dataclass_fields__
    by_length: dict[str, Any] = {"train_sampling_strategy": "group_by_length"} if named else {"group_by_length": True}
    arguments = TrainingArguments(
        output_dir=str(options.meet / options.variant), per_device_train_batch_size=rows,
        max_steps=options.warm + options.timed + 10,
        bf16=on_gpu, torch_compile=on_gpu, optim="adamw_torch_fused", dataloader_num_workers=4 if on_gpu else 0,
        dataloader_pin_memory=on_gpu, report_to=[], save_strategy="no", logging_steps=1000, disable_tqdm=True,
        use_cpu=not on_gpu, remove_unused_columns=False, learning_rate=1e-3, warmup_steps=5,
        dataloader_drop_last=True, **(by_length if padded else {}),
    )  # fmt: skip
    collator = Counted(tokenizer, mlm_probability=0.3, pad_to_multiple_of=64 if padded else None)
    model = ModernBertForMaskedLM(config)
    trained = Asks(
        model=model, args=arguments, train_dataset=examples, data_collator=collator, callbacks=[Watch()]
    ).train()
    real = statistics.mean(int(count) for count in seen[options.warm : options.warm + options.timed])
    return {"parameters": model.num_parameters(), "tokens_a_step": real, "loss": trained.training_loss}


def one(options: argparse.Namespace) -> None:
    kind, _, shape = options.variant.rpartition("-")
    clock, run = Clock(options), ours if kind.startswith("ours") else theirs
    facts = run(options, shape, kind, clock)
    found = {"variant": options.variant, "step_ms": round(1000 * clock.seconds, 2), **facts}
    found["tokens_per_second"] = round(facts["tokens_a_step"] / clock.seconds)
    print(json.dumps(found), flush=True)


@contextmanager
def together(options: argparse.Namespace) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    options.meet.mkdir(parents=True, exist_ok=True)
    for left in options.meet.glob("*.warm"):
        left.unlink()
    started: list[subprocess.Popen[bytes]] = []

    def start(variant: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *sys.argv, "--variant", variant, "--only", *options.only]
        process = subprocess.Popen(command, env=os.environ)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def main() -> None:
    options = parsed()
    if options.variant:
        one(options)
        return
    with together(options) as start:
        for process in [start(variant) for variant in options.only]:
            process.wait()


if __name__ == "__main__":
    main()
