"""How fast tasks are asked, beside lm-evaluation-harness' hf backend on the same model, questions and machine.

    python benchmarks/tasks.py SET.jsonl [--run DIR] [--items 200] [--shots 0] [--batch-sizes 1,8,32] [--device cpu]

Without `--run`, a model of random weights is written first: 6 layers x 384, context 1024, a vocabulary of 8,192 learnt
from the set. Both are asked the very same pairs of context and continuation; log-likelihoods must agree to 1e-3. The
rival has its best of the given batch sizes. Seconds are of processor time on a CPU, and of the clock on a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers, trainers
from transformers.utils import logging

from textus.checkpoint.checkpoint import load, write_model
from textus.evaluation.tasks.asks import item_asks
from textus.evaluation.tasks.item import Item
from textus.evaluation.tasks.likelihoods import log_likelihoods
from textus.evaluation.tasks.task import Task, open_task
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("set", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--batch-sizes", default="1,8,32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def learnt(task: Task, vocab_size: int) -> Tokenizer:
    engine = untrained()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False
    )
    engine.train_from_iterator((item.plain for item in task.items()), trainer)
    return finish(engine)


def random_model(options: argparse.Namespace, task: Task, directory: Path) -> None:
    tokenizer = learnt(task, options.vocabulary)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=options.context,
        num_layers=options.layers,
        hidden_size=options.hidden,
        num_heads=options.hidden // 64,
        num_kv_heads=options.hidden // 64,
        head_size=64,
        intermediate_size=4 * options.hidden,
    )
    write_model(directory, Transformer(config), tokenizer, {})


def timed(device: str, work: Callable[[], Any]) -> tuple[float, Any]:
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    found = work()
    return clock() - began, found


def ours(options: argparse.Namespace, directory: Path, task: Task, items: list[Item]) -> tuple[float, list[float]]:
    opened = load(directory, device=options.device)

    def ask() -> list[float]:
        told = log_likelihoods(opened.model, item_asks(opened.tokenizer, items, task.shown))
        return [one.logprob for group in told for one in group]

    log_likelihoods(opened.model, item_asks(opened.tokenizer, items[:2], task.shown))
    return timed(options.device, ask)


def theirs(
    options: argparse.Namespace, directory: Path, task: Task, items: list[Item], batch_size: int
) -> tuple[float, list[float]]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    def requests(some: list[Item]) -> list[Any]:
        return [
            Instance("loglikelihood", {}, (task.shown + one.context, one.continuation), place, ("task", number, 1))
            for number, item in enumerate(some)
            for place, one in enumerate(item.options)
        ]

    model = HFLM(str(directory), device=options.device, dtype="float32", batch_size=batch_size)
    model.loglikelihood(requests(items[:2]), disable_tqdm=True)
    asked = requests(items)
    seconds, found = timed(options.device, lambda: model.loglikelihood(asked, disable_tqdm=True))
    return seconds, [logprob for logprob, _ in found]


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    logging.disable_progress_bar()
    task = open_task(options.set, {"shots": options.shots} if options.shots else {})
    items = [item for _, item in zip(range(options.items), task.items(), strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        directory = options.run or Path(folder)
        if not options.run:
            random_model(options, task, directory)
        mine, wanted = ours(options, directory, task, items)
        print(f"textus: {mine:.2f} s for {len(wanted)} answers")
        others = {}
        for batch_size in map(int, options.batch_sizes.split(",")):
            seconds, found = theirs(options, directory, task, items, batch_size)
            apart = max(abs(one - other) / max(1, abs(other)) for one, other in zip(wanted, found, strict=True))
            others[batch_size] = seconds
            print(f"lm-eval hf, batch {batch_size}: {seconds:.2f} s; log-likelihoods differ by {apart:.1e} at most")
            assert apart < 1e-3, "not the same question"
    best = min(others, key=lambda size: others[size])
    print(json.dumps({
        "set": options.set.name, "items": len(items), "answers": len(wanted), "shots": options.shots,
        "textus_seconds": round(mine, 3), "lm_eval_seconds": {size: round(value, 3) for size, value in others.items()},
        "times_faster": round(others[best] / mine, 2), "best_batch_size": best, "device": options.device,
        "torch": torch.__version__, "machine": platform.processor() or platform.machine(), "threads": options.threads,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
