"""How fast a GPU measures: texts against the forward pass's own rate, and questions beside lm-evaluation-harness.

    python benchmarks/evaluation_gpu.py prepare FOLDER --shared shared/data [--toy]
    python benchmarks/evaluation_gpu.py rate|text|questions FOLDER [--toy] [--device cuda]

`prepare` writes what the others read, so that a machine needs no more than torch, transformers and lm-eval: a
vocabulary of 50,257 learnt from WikiText-2, 4 MB of Wikipedia, novels and speeches, and ARC-easy and PIQA. The model
has the GPT-2 124M shape (12 x 768, context 1024) and random weights; products are in bf16.

`rate`: tokens read a second by `evaluate`, padding not counted, beside those of the model alone on full rows of the
same size. `text`: 2 MB from strings to scores, the second time. `questions`: the same pairs asked by us and by
lm-eval's `hf` backend with the same weights in bf16, its best of several batch sizes; log-likelihoods are first held
equal in float32. Seconds are of the clock, and hold tokenization on both sides.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textus.checkpoint.checkpoint import Checkpoint, load, write_model
from textus.corpus.document import Document
from textus.evaluation.documents import frames
from textus.evaluation.estimate import Measured
from textus.evaluation.perplexity import evaluate, spans
from textus.evaluation.tasks.asks import item_asks
from textus.evaluation.tasks.item import Item, Option
from textus.evaluation.tasks.likelihoods import log_likelihoods
from textus.model.config import ModelConfig
from textus.model.precision import autocast
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained

VOCABULARY, CONTEXT = 50_304, 1024
SHAPE = {"num_layers": 12, "hidden_size": 768, "num_heads": 12, "num_kv_heads": 12, "intermediate_size": 2048}
TOY_SHAPE = {"num_layers": 2, "hidden_size": 64, "num_heads": 2, "num_kv_heads": 2, "intermediate_size": 128}
TEXT_BYTES, ALL_BYTES = 2_000_000, 4_000_000
SETS = {"arc_easy": (0, 5), "piqa": (0,)}
ITEMS = {0: 2_000, 5: 300}
"""How many questions are asked, by the number of examples."""
BATCH_SIZES = {0: (64, 256), 5: (32, 128)}


def prepare(options: argparse.Namespace) -> None:
    import zstandard
    from tokenizers import pre_tokenizers, trainers

    from textus.evaluation.tasks.task import open_task

    def opened(name: str) -> str:
        with zstandard.open(options.shared / name, "rt", encoding="utf-8") as file:
            return str(file.read())

    options.folder.mkdir(parents=True, exist_ok=True)
    engine = untrained()
    size = 2_048 if options.toy else VOCABULARY - 47
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    parts = ("valid",) if options.toy else ("train", "valid")
    learnt = [opened(f"lm_benchmarks/wikitext2.{part}.raw.txt.zst") for part in parts]
    engine.train_from_iterator((line for text in learnt for line in text.splitlines(keepends=True)), trainer)
    finish(engine).save(options.folder)
    texts, held = [], 0
    for line in opened("general/test.jsonl.zst").splitlines():
        if held >= (100_000 if options.toy else ALL_BYTES):
            break
        texts.append(json.loads(line)["text"])
        held += len(texts[-1].encode())
    (options.folder / "texts.json").write_text(json.dumps(texts))
    asked = {}
    for name, shots in SETS.items():
        for count in shots:
            task = open_task(options.shared / f"eval/{name}.jsonl.zst", {"shots": count} if count else {})
            items = itertools.islice(task.items(), 8 if options.toy else ITEMS[count])
            options_of = [[(one.context, one.lead, one.text) for one in item.options] for item in items]
            gold = [item.gold for item in itertools.islice(task.items(), len(options_of))]
            asked[f"{name}, {count} examples"] = {
                "shots": count,
                "shown": task.shown,
                "items": options_of,
                "gold": gold,
            }
    (options.folder / "questions.json").write_text(json.dumps(asked))


def made(options: argparse.Namespace, directory: Path) -> Checkpoint:
    """Write the model of random weights, and open it."""
    tokenizer = Tokenizer.load(options.folder)
    shape = TOY_SHAPE if options.toy else SHAPE
    config = ModelConfig(
        vocab_size=max(tokenizer.vocab_size, 0 if options.toy else VOCABULARY), context_length=CONTEXT,
        head_size=shape["hidden_size"] // shape["num_heads"], **shape,
    )  # fmt: skip
    write_model(directory, Transformer(config), tokenizer, {})
    return load(directory, device=options.device)


def seconds_of(options: argparse.Namespace, work: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    def wait() -> None:
        if options.device == "cuda":
            torch.cuda.synchronize()

    wait()
    began = time.perf_counter()
    for _ in range(times):
        found = work()
    wait()
    return (time.perf_counter() - began) / times, found


def texts_of(options: argparse.Namespace, num_bytes: int) -> list[Document]:
    found, held = [], 0
    for text in json.loads((options.folder / "texts.json").read_text()):
        if held >= num_bytes:
            break
        found.append(Document(text, "general"))
        held += found[-1].num_bytes
    return found


@torch.inference_mode()
def plainly(model: Transformer, documents: Sequence[Measured], stride: int) -> float:
    """Sum nats window by window, as transformers' page on fixed-length models does."""
    total = 0.0
    for tokens, _ in documents:
        for begin, scored, stop in spans(len(tokens), CONTEXT, stride):
            given = torch.from_numpy(tokens[None, begin:stop]).to(model.embedding.weight.device)
            likely = model(given[:, :-1]).logits[0, scored - begin - 1 :].float().log_softmax(-1)
            total -= likely.gather(1, given[0, scored - begin :, None]).sum().item()
    return total


def rate(options: argparse.Namespace, opened: Checkpoint) -> dict[str, Any]:
    model, tokenizer = opened.model, opened.tokenizer
    documents = list(frames(tokenizer, texts_of(options, ALL_BYTES)))
    few = documents[:3]
    told = evaluate(model, tokenizer, few, data="", stride=CONTEXT // 2).units.nats.sum()
    apart = abs(told / plainly(model, few, CONTEXT // 2) - 1)
    print(f"rate: in float32 the nats differ by {apart:.1e} from the plain loop's")
    assert apart < 1e-4, "not the same number"
    tokens = torch.randint(0, tokenizer.vocab_size, (4 if options.toy else 32, CONTEXT), device=options.device)

    @torch.inference_mode()
    def alone() -> None:
        with autocast(options.device, "bf16"):
            model(tokens)

    alone()
    forward = tokens.numel() / seconds_of(options, alone, 2 if options.toy else 30)[0]
    found: dict[str, Any] = {"forward_tokens_per_second": round(forward), "tokens": sum(len(d) for d, _ in documents)}
    print(f"rate: the model alone reads {forward:,.0f} tokens/s")
    for stride in (CONTEXT, CONTEXT // 2):
        read = sum(stop - 1 - begin for one, _ in documents for begin, _, stop in spans(len(one), CONTEXT, stride))

        def measured(stride: int = stride) -> Any:
            return evaluate(model, tokenizer, documents, data="", stride=stride, precision="bf16")

        evaluate(model, tokenizer, few, data="", stride=stride, precision="bf16")
        best = min(seconds_of(options, measured)[0] for _ in range(1 if options.toy else 3))
        found[f"stride_{stride}"] = {
            "tokens_per_second": round(read / best), "of_forward": round(read / best / forward, 3),
        }  # fmt: skip
        print(f"rate: stride {stride}: {read / best:,.0f} tokens/s, {read / best / forward:.1%} of the model alone")
    return found


def text(options: argparse.Namespace, opened: Checkpoint) -> dict[str, Any]:
    documents = texts_of(options, 50_000 if options.toy else TEXT_BYTES)

    def measured() -> Any:
        return evaluate(
            opened.model, opened.tokenizer, frames(opened.tokenizer, documents), data="", stride=CONTEXT // 2,
            precision="bf16",
        )  # fmt: skip

    first, _ = seconds_of(options, measured)
    warm, found = seconds_of(options, measured)
    print(f"text: {found.num_bytes:,} bytes in {warm:.2f} s warm, {first:.2f} s the first time")
    return {"bytes": found.num_bytes, "tokens": found.tokens, "seconds": round(warm, 3), "first": round(first, 3)}


def questions(options: argparse.Namespace, opened: Checkpoint, directory: Path) -> Iterator[dict[str, Any]]:
    from lm_eval.models.huggingface import HFLM

    def theirs(dtype: str, size: int) -> Any:
        device = "cuda:0" if options.device == "cuda" else "cpu"
        return HFLM(str(directory), device=device, dtype=dtype, batch_size=size)

    exact = theirs("float32", 8)
    other = theirs("bfloat16", 8)
    for name, asked in json.loads((options.folder / "questions.json").read_text()).items():
        items = [
            Item("", tuple(Option(*one) for one in of_item), gold)
            for of_item, gold in zip(asked["items"], asked["gold"], strict=True)
        ]
        shown, few = asked["shown"], items[:40]
        apart = _apart(_ours(opened, few, shown, "fp32"), _theirs(exact, few, shown))
        print(f"questions: {name}: in float32 log-likelihoods differ by {apart:.1e} of themselves at most")
        assert apart < 1e-3, "not the same question"
        _ours(opened, few, shown, "bf16")
        _theirs(other, few, shown)
        mine, told = min(
            (seconds_of(options, lambda: _ours(opened, items, shown, "bf16")) for _ in range(2)),  # noqa: B023
            key=lambda pair: pair[0],
        )
        rivals = {}
        for size in (2,) if options.toy else BATCH_SIZES[asked["shots"]]:
            other.batch_size_per_gpu = size
            rivals[size], answers = seconds_of(options, lambda: _theirs(other, items, shown))  # noqa: B023
        best = min(rivals, key=lambda size: rivals[size])
        right = [_right(items, values) for values in (told, answers)]
        print(f"questions: {name}: {mine:.2f} s, lm-eval {rivals}; {rivals[best] / mine:.1f} times; right {right}")
        yield {
            "set": name, "items": len(items), "answers": len(told), "seconds": round(mine, 3),
            "lm_eval_seconds": {size: round(value, 3) for size, value in rivals.items()},
            "times_faster": round(rivals[best] / mine, 2), "accuracy": right, "fp32_apart": apart,
            "bf16_apart": _apart(told, answers),
        }  # fmt: skip


def _ours(opened: Checkpoint, items: list[Item], shown: str, precision: Any) -> list[float]:
    told = log_likelihoods(opened.model, item_asks(opened.tokenizer, items, shown), precision=precision)
    return [one.logprob for group in told for one in group]


def _theirs(model: Any, items: list[Item], shown: str) -> list[float]:
    from lm_eval.api.instance import Instance

    requests = [
        Instance("loglikelihood", {}, (shown + one.context, one.continuation), place, ("task", number, 1))
        for number, item in enumerate(items)
        for place, one in enumerate(item.options)
    ]
    return [logprob for logprob, _ in model.loglikelihood(requests, disable_tqdm=True)]


def _apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return max(abs(one - other) / max(1, abs(other)) for one, other in zip(ours, theirs, strict=True))


def _right(items: list[Item], logprobs: Sequence[float]) -> float:
    values = iter(logprobs)
    best = [int(np.argmax([next(values) for _ in item.options])) for item in items]
    return round(float(np.mean([one == item.gold for one, item in zip(best, items, strict=True)])), 4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("prepare", "rate", "text", "questions"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args()
    if options.part == "prepare":
        return prepare(options)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        opened = made(options, Path(folder))
        device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
        found: dict[str, Any] = {"part": options.part, "device": device, "torch": torch.__version__}
        if options.part == "questions":
            import transformers

            found["transformers"] = transformers.__version__
            found["sets"] = list(questions(options, opened, Path(folder)))
        else:
            found |= {"rate": rate, "text": text}[options.part](options, opened)
    print(json.dumps(found))
    return None


if __name__ == "__main__":
    sys.exit(main())
