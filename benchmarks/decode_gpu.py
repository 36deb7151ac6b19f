"""How fast a GPU writes, and whether it writes the right thing: checks, timings beside transformers, and a profile.

    python benchmarks/decode_gpu.py [--toy] [--batches 1 64 256] [--new 256] [--skip checks ...] [--only variants ...]

Checks: in float32, greedy and drawn texts of the GPU's engine are those of the CPU's, and greedy ones those of
`transformers.generate`. Timings: the GPT-2 124M shape in bf16, random weights, temperature 0.8, top-k 50, top-p 0.95;
the seconds are wall time from where all texts have begun to where all have ended; `with_text` is the rate where every
piece of text is made and taken in the same thread after every step, too.
`bandwidth_share` counts weights and the keys and values of each text, once a step, by the measured speed of reading.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from decode import EVERY, PLAIN, SHAPES, VOCABULARY, asked_of_transformers, filled, opened_by_transformers, read_speed

from textus.checkpoint.checkpoint import write_model
from textus.decoding.engine import swift
from textus.decoding.engine.alone import Shape
from textus.decoding.engine.board import LEAST, ROW, TOP, WRITTEN, knobs
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.processors import TopK
from textus.decoding.step import Telling
from textus.decoding.strategy import Greedy, Sample, Strategy
from textus.decoding.writer import Ending
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

PARTS = (
    *(
        "checks",
        "guessed",
        "draws",
        "speed",
        "first",
        "variants",
        "lookup",
        "processors",
        "profile",
        "transformers",
        "large",
    ),
    *("large_variants", "warm"),
)
VARIANTS: dict[str, Shape | None] = {
    "8 warps": Shape(),
    "16 warps": Shape(warps=16),
    "8 warps, small tiles": Shape(tile=2**13),
    "4 warps, small tiles": Shape(warps=4, tile=2**13),
    "launches": Shape(meets=False),
    "apart": None,
}
"""How one text may be read: by a kernel for each product, or by programs that stay for the whole step."""


def main() -> None:
    options = arguments()
    swift.ALONE = VARIANTS[options.way]
    found: dict[str, Any] = {"benchmark": "decode_gpu", "device": _name(options.device), "torch": torch.__version__}
    asked = {part for part in options.only if options.only != PARTS or part not in options.skip}

    def keep(name: str, value: Any) -> None:
        found[name] = value
        print(f"{name}: {value}", file=sys.stderr, flush=True)

    for name, check in CHECKS.items():
        if name in asked:
            keep(name, check(options.device))
    if not asked <= set(CHECKS):
        measure(asked, options, keep)
    print(json.dumps(found))


def arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser()
    made.add_argument("--device", default="cuda")
    made.add_argument("--batches", type=int, nargs="+", default=[1, 64, 256])
    made.add_argument("--new", type=int, default=256)
    made.add_argument("--prompt", type=int, default=64)
    made.add_argument("--skip", nargs="*", default=["variants", "large_variants", "warm"], choices=PARTS)
    made.add_argument("--only", nargs="*", default=PARTS, choices=PARTS)
    made.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    made.add_argument("--sizes", nargs="*", default=[], choices=list(SHAPES), help="for these alone is compiled ahead")
    made.add_argument("--way", default="8 warps", choices=list(VARIANTS), help="how one text is read elsewhere")
    made.add_argument("--toy", action="store_true", help="a shape that shows only that this runs")
    return made.parse_args()


def measure(asked: set[str], options: argparse.Namespace, keep: Callable[[str, Any], None]) -> None:
    shape, large = ("toy", "toy") if options.toy else ("124M", "1B")
    speed = read_speed(options.device)
    keep("read_gb_per_second", round(speed / 1e9))
    if "warm" in asked:
        warm(options.sizes or [shape, large], options)
    size = options.prompt, options.new, speed, PLAIN
    model, tokenizer = network(shape, options.device), filled(VOCABULARY[shape])
    for name in options.variants if "variants" in asked else ():
        keep(f"124M_1_{name}", guarded(timed, model, tokenizer, 1, *size, VARIANTS[name]))
    for batch in options.batches if "speed" in asked else ():
        keep(f"ours_{batch}", timed(model, tokenizer, batch, *size))
    for name, work in (("first", first_token), ("lookup", lookup)):
        if name in asked:
            keep(name, work(model, tokenizer, options))
    if "profile" in asked and options.device != "cpu":
        for batch in options.batches[:1] + options.batches[-1:]:
            profile(model, tokenizer, batch, options)
    if "transformers" in asked:
        with tempfile.TemporaryDirectory() as name:
            write_model(Path(name), model, tokenizer, {})
            theirs = opened_by_transformers(Path(name), options.device, model.embedding.weight.dtype)
        for batch in options.batches[:2]:
            keep(f"transformers_{batch}", transformers(theirs, batch, options))
        del theirs
    if asked & {"large", "large_variants"}:
        larger, words = network(large, options.device), filled(VOCABULARY[large])
        for name in options.variants if "large_variants" in asked else [options.way]:
            keep(f"1B_1_{name}", guarded(timed, larger, words, 1, *size, VARIANTS[name]))
    if "processors" in asked:
        keep("processors", processors(model, tokenizer, options))


def guarded(work: Callable[..., Any], *given: Any) -> Any:
    """Return what `work` does, or why it could not."""
    try:
        return work(*given)
    except Exception as error:  # one variant that fails must not hide the others
        return f"{type(error).__name__}: {str(error)[:300]}"


def with_shape(engine: Engine, shape: Shape | None) -> Engine:
    if engine._runner.swift:
        engine._runner.swift.alone = shape
    return engine


def warm(sizes: Sequence[str], options: argparse.Namespace) -> None:
    """Compile the variants that are asked for, so that another process finds them compiled."""
    for size in sizes:
        model, tokenizer = network(size, options.device), filled(VOCABULARY[size])
        for name in options.variants:
            engine = Engine(model, tokenizer, EngineConfig(batch_size=1, cache_tokens=512))
            print(size, name, guarded(written, with_shape(engine, VARIANTS[name]), prompts(1, 8, 0), PLAIN, 4))


def lookup(model: Transformer, tokenizer: Tokenizer, options: argparse.Namespace) -> dict[str, Any]:
    """Write one text with and without guesses: where nearly all are right, and where nearly none is."""
    told: dict[str, Any] = {}
    vocab = 1000
    pattern = prompts(1, 16, 1, vocab)[0] * (options.prompt // 16 + 1)
    for name, strategy in (("greedy", Greedy()), ("drawn", PLAIN)):
        rates, texts = {}, {}
        for guesses in (0, 3, 7, 15):
            engine = Engine(model, tokenizer, EngineConfig(batch_size=1, cache_tokens=4096))
            times = []
            for _ in range(4):
                handle = engine.submit(pattern, strategy, Ending(options.new), seed=1, guesses=guesses)
                while not handle.pieces:
                    engine.step()
                began, before = time.perf_counter(), engine.usage.tokens_written
                while engine.step():
                    pass
                times.append((engine.usage.tokens_written - before) / (time.perf_counter() - began))
                texts[guesses] = [piece.token for piece in handle]
            rates[guesses] = round(statistics.median(times[1:]))
        told[name] = {
            "tokens_per_second": rates,
            "same": {guesses: parted([texts[guesses]], [texts[0]])[0] for guesses in rates},
            "names": len(set(texts[0])),
        }
    return told


def processors(model: Transformer, tokenizer: Tokenizer, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a step of 64 texts by each processor beside top-k, and by all of them."""
    batch, new = (4, 8) if options.toy else (64, 16)
    told = {}
    every = {type(step).__name__: step for step in EVERY.processors}
    kinds = {"plain": PLAIN, "all": EVERY, **{name: Sample(step, TopK(50)) for name, step in every.items()}}
    kinds["TopK"] = Sample(TopK(50))
    for name, strategy in kinds.items():
        engine = Engine(
            model, tokenizer, EngineConfig(batch_size=batch, cache_tokens=batch * (options.prompt + new + 32))
        )
        times = []
        for seed in range(3):
            for row, text in enumerate(prompts(batch, options.prompt, seed)):
                engine.submit(text, strategy, Ending(new), seed=seed, row=row)
            while engine.usage.tokens_written < batch * (1 + seed * new):
                engine.step()
            began, before = time.perf_counter(), engine.usage.tokens_written
            while engine.step():
                pass
            times.append((time.perf_counter() - began) * batch / (engine.usage.tokens_written - before))
        told[name] = round(1000 * min(times), 3)
    told["all_share"] = round(1 - told["TopK"] / told["all"], 3)
    return told


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def network(shape: str, device: str, dtype: torch.dtype | None = None) -> Transformer:
    """Return a model of random weights, which are drawn where it is if they are many."""
    sizes = SHAPES[shape]
    config = ModelConfig(
        vocab_size=VOCABULARY[shape],
        context_length=2048 if shape != "toy" else 128,
        head_size=sizes["hidden_size"] // sizes["num_heads"],
        **sizes,
    )
    if shape != "1B":
        return Transformer(config, seed=1).to(device, dtype or torch.bfloat16).eval()
    with torch.device(device), mock.patch.object(Transformer, "initialise"):
        model = Transformer(config).to(dtype or torch.bfloat16).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.02) if parameter.dim() > 1 else parameter.fill_(1)
    return model


def prompts(batch: int, length: int, seed: int, vocab: int = 1000) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(300, vocab, (batch, length), generator=generator).tolist()


def written(
    engine: Engine, texts: list[list[int]], strategy: Strategy, new: int, seed: int = 0, guesses: int = 0
) -> list[list[int]]:
    handles = [
        engine.submit(text, strategy, Ending(new), seed=seed, row=row, guesses=guesses)
        for row, text in enumerate(texts)
    ]
    return [[piece.token for piece in handle] for handle in handles]


SIDE_BY_SIDE = EngineConfig(batch_size=4)


def sharp() -> tuple[Transformer, Tokenizer, list[list[int]]]:
    """Return a small model whose logits are far apart, and texts of several lengths."""
    model = network("toy", "cpu", torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.dim() > 1 else parameter
    return model, filled(VOCABULARY["toy"]), [prompts(1, length, length)[0] for length in (3, 17, 40, 5, 64)]


def checks(device: str) -> dict[str, Any]:
    """Compare texts that are written together, and one alone, with those of a CPU and of transformers, in float32."""
    model, tokenizer, texts = sharp()
    wanted = {
        kind: written(Engine(model, tokenizer, SIDE_BY_SIDE), texts, kind, 60, seed=5) for kind in (Greedy(), PLAIN)
    }
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), model, tokenizer, {})
        theirs = opened_by_transformers(Path(name), device, torch.float32)
    with torch.inference_mode():
        greedy = [
            theirs.generate(
                torch.tensor([text], device=device),
                do_sample=False,
                max_new_tokens=40,
                min_new_tokens=40,
                pad_token_id=0,
            )[0, len(text) :].tolist()
            for text in texts
        ]
    gpu = Engine(model.to(device), tokenizer, SIDE_BY_SIDE)
    found = {type(kind).__name__: written(gpu, texts, kind, 60, seed=5) for kind in wanted}
    return {
        **{type(kind).__name__: parted(found[type(kind).__name__], wanted[kind]) for kind in wanted},
        "transformers_greedy": parted([text[:40] for text in found["Greedy"]], greedy),
        "alone": parted(
            written(Engine(model, tokenizer, EngineConfig(batch_size=1)), texts[:1], PLAIN, 60, seed=5),
            wanted[PLAIN][:1],
        ),
        "by_kernels": gpu._runner.swift is not None,
        "blocks_left": gpu.usage.blocks_in_use,
    }


def guessed(device: str) -> dict[str, Any]:
    """Compare texts with guesses, one and three together, with those of a CPU, in float32."""
    model, tokenizer, texts = sharp()
    wanted = {
        kind: written(Engine(model, tokenizer, SIDE_BY_SIDE), texts[:3], kind, 50, seed=5) for kind in (Greedy(), PLAIN)
    }
    gpu = Engine(model.to(device), tokenizer, EngineConfig(batch_size=4, burst=4))
    told: dict[str, Any] = {}
    for kind, rows in wanted.items():
        for count in (1, 3):
            found = written(gpu, texts[:count], kind, 50, seed=5, guesses=7)
            told[f"{type(kind).__name__} {count}"] = parted(found, rows[:count])
    return told


def draws(device: str) -> dict[str, Any]:
    """Look at what the kernel draws, and at texts that must not depend on their neighbours."""
    model, tokenizer, texts = sharp()
    engine = Engine(model.to(device), tokenizer, SIDE_BY_SIDE)
    return {
        "fixed_batch": is_the_same_in_company(model, tokenizer, texts),
        "chi_square": chi_square(engine) if engine._runner.swift else "no kernels",
    }


def is_the_same_in_company(model: Transformer, tokenizer: Tokenizer, texts: list[list[int]]) -> bool:
    """Tell whether with `fixed_batch` a text has the same tokens and log-probabilities, to the bit, beside others."""

    def told(asked: list[list[int]]) -> list[list[tuple[int, float]]]:
        engine = Engine(model, tokenizer, EngineConfig(batch_size=8, fixed_batch=8))
        handles = [engine.submit(text, PLAIN, Ending(30), seed=5) for text in asked]
        return [[(piece.token, piece.logprob) for piece in handle] for handle in handles]

    return told(texts[1:2])[0] == told(texts)[1]


@torch.inference_mode()
def chi_square(engine: Engine, draws: int = 2**20) -> dict[str, float]:
    """Compare draws of the kernel with the exact distribution of temperature 0.8, top-k 50, top-p 0.95."""
    driver, rows = engine._runner.swift, 256
    assert driver
    stage = driver.stage(rows)
    own = 3 * torch.randn(stage.logits.shape[1], generator=torch.Generator().manual_seed(1))
    stage.logits.copy_(own.expand_as(stage.logits))
    first, names = (own[: driver.vocab].double() / 0.8).topk(50)
    chance = torch.softmax(first, 0)
    chance = chance[chance.cumsum(0) - chance < 0.95]
    chance /= chance.sum()
    lines, seen = stage.lines(), torch.zeros(driver.vocab, dtype=torch.int64)
    lines[:, TOP : LEAST + 1] = knobs(PLAIN, Telling(), 7, 0)
    lines[:, ROW] = range(rows)
    for turn in range(draws // rows // swift.STEPS):
        lines[:, WRITTEN] = turn * swift.STEPS
        stage.begin(lines, None)
        for _ in range(swift.STEPS):
            stage._draw()
        seen += torch.bincount(stage.ring[..., 0].flatten().long(), minlength=driver.vocab).cpu()
    kept = seen[names[: len(chance)]]
    expected = chance * seen.sum()
    statistic = float(((kept - expected) ** 2 / expected).sum())
    half = torch.tensor([(len(chance) - 1) / 2, statistic / 2], dtype=torch.float64)
    return {
        "draws": int(seen.sum()),
        "tokens": len(chance),
        "p_value": round(float(torch.special.gammaincc(half[0], half[1])), 4),
        "of_no_chance": int(seen.sum() - kept.sum()),
    }


def parted(ours: list[list[int]], theirs: list[list[int]]) -> list[int]:
    """Return of each pair of texts how many tokens are the same before the first that is not."""
    return [
        next((place for place, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]), len(mine))
        for mine, other in zip(ours, theirs, strict=True)
    ]


def timed(
    model: Transformer,
    tokenizer: Tokenizer,
    batch: int,
    prompt: int,
    new: int,
    speed: float,
    strategy: Strategy = PLAIN,
    *shape: Shape | None,
) -> dict[str, float]:
    engine = Engine(model, tokenizer, EngineConfig(batch_size=batch, cache_tokens=batch * (prompt + new + 32)))
    for one in shape:
        with_shape(engine, one)
    rates, starts, texts_made = [], [], []
    for seed in range(6):
        handles = []
        began = time.perf_counter()
        for row, text in enumerate(prompts(batch, prompt, seed)):
            handles.append(engine.submit(text, strategy, Ending(new), seed=seed, row=row))
        while not all(handle.pieces for handle in handles):
            engine.step()
        first, before = time.perf_counter(), engine.usage.tokens_written
        going = True
        while going:
            going = engine.step()
            if seed % 2:
                for handle in handles:
                    while handle.pieces:
                        handle.next()
        rate = (engine.usage.tokens_written - before) / (time.perf_counter() - first)
        (texts_made if seed % 2 else rates).append(rate)
        starts.append(first - began)
    rate = statistics.median(rates[1:])
    config, size = model.config, model.embedding.weight.itemsize
    weights = config.num_matmul_parameters() * size
    kept = 2 * config.num_layers * config.num_kv_heads * config.head_size * size * (prompt + new / 2) * batch
    return {
        "tokens_per_second": round(rate),
        "with_text": round(statistics.median(texts_made)),
        "step_ms": round(1000 * batch / rate, 3),
        "bandwidth_share": round((weights + kept) * rate / batch / speed, 3),
        "all_begun_ms": round(1000 * min(starts[1:]), 1),
        "warm_up_s": round(starts[0], 1),
    }


def first_token(model: Transformer, tokenizer: Tokenizer, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds from a prompt of 1,000 tokens to its first token, the engine warm."""
    times, length = {}, 96 if options.toy else 1000
    for chunk in ("auto", 512):
        engine = Engine(model, tokenizer, EngineConfig(batch_size=8, cache_tokens=16384, chunk_tokens=chunk))
        seconds = []
        for seed in range(6):
            text = prompts(1, length, seed)[0]
            began = time.perf_counter()
            engine.submit(text, PLAIN, Ending(4), seed=seed).next()
            seconds.append(time.perf_counter() - began)
            while engine.step():
                pass
        times[f"chunks_of_{chunk}"] = round(1000 * statistics.median(seconds[1:]), 2)
    return times


def profile(model: Transformer, tokenizer: Tokenizer, batch: int, options: argparse.Namespace) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    engine = Engine(model, tokenizer, EngineConfig(batch_size=batch, cache_tokens=batch * (options.prompt + 128)))
    for row, text in enumerate(prompts(batch, options.prompt, 9)):
        engine.submit(text, PLAIN, Ending(64), row=row)
    while engine.usage.tokens_written < 16 * batch:
        engine.step()
    with profiled(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(3):
            engine.step()
        torch.cuda.synchronize()
    print(f"kernels of 3 bursts of 8 steps, batch {batch}")
    for event in sorted(seen.key_averages(), key=lambda one: -one.device_time_total)[:14]:
        print(f"{event.device_time_total / 24:9.1f} us a step {event.count / 24:6.1f} calls  {event.key[:90]}")
    sys.stdout.flush()


def transformers(model: Any, batch: int, options: argparse.Namespace) -> dict[str, float]:
    tokens = torch.tensor(prompts(batch, options.prompt, 0), device=options.device)
    rates = []
    for _ in range(2):
        began = time.perf_counter()
        with torch.inference_mode():
            model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                **asked_of_transformers(options.new),
            )
        if options.device != "cpu":
            torch.cuda.synchronize()
        rates.append(batch * options.new / (time.perf_counter() - began))
    return {"tokens_per_second": round(max(rates))}


CHECKS = {"checks": checks, "guessed": guessed, "draws": draws}

if __name__ == "__main__":
    main()
