"""How fast a GPU writes, and whether it writes the right thing: checks, timings beside transformers, and a profile.

    python benchmarks/decode_gpu.py [--toy] [--batches 1 64 256] [--new 256] [--skip checks transformers large profile]

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
from pathlib import Path
from typing import Any

import torch
from decode import PLAIN, SHAPES, VOCABULARY, asked_of_transformers, filled, opened_by_transformers, read_speed

from textus.checkpoint.checkpoint import write_model
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.strategy import Greedy, Strategy
from textus.decoding.writer import Ending
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer


def main() -> None:
    made = argparse.ArgumentParser()
    made.add_argument("--device", default="cuda")
    made.add_argument("--batches", type=int, nargs="+", default=[1, 64, 256])
    made.add_argument("--new", type=int, default=256)
    made.add_argument("--prompt", type=int, default=64)
    made.add_argument("--skip", nargs="*", default=[], choices=["checks", "transformers", "large", "profile"])
    made.add_argument("--toy", action="store_true", help="a shape that shows only that this runs")
    options = made.parse_args()
    found: dict[str, Any] = {"benchmark": "decode_gpu", "device": _name(options.device), "torch": torch.__version__}

    def keep(name: str, value: Any) -> None:
        found[name] = value
        print(f"{name}: {value}", file=sys.stderr, flush=True)

    if "checks" not in options.skip:
        keep("checks", checks(options.device))
    shape = "toy" if options.toy else "124M"
    model = network(shape, options.device)
    tokenizer = filled(VOCABULARY[shape])
    speed = read_speed(options.device)
    keep("read_gb_per_second", round(speed / 1e9))
    for batch in options.batches:
        keep(f"ours_{batch}", timed(model, tokenizer, batch, options.prompt, options.new, speed))
    keep("first_token_ms_1k_prompt", first_token(model, tokenizer, 96 if options.toy else 1000))
    if "profile" not in options.skip and options.device != "cpu":
        for batch in options.batches[:1] + options.batches[-1:]:
            profile(model, tokenizer, batch, options)
    if "transformers" not in options.skip:
        with tempfile.TemporaryDirectory() as name:
            write_model(Path(name), model, tokenizer, {})
            theirs = opened_by_transformers(Path(name), options.device, model.embedding.weight.dtype)
        for batch in options.batches[:2]:
            keep(f"transformers_{batch}", transformers(theirs, batch, options))
        del theirs
    if "large" not in options.skip:
        del model
        large = "toy" if options.toy else "1B"
        keep("ours_1B_1", timed(network(large, options.device), filled(VOCABULARY[large]), 1, 64, 128, speed))
    print(json.dumps(found))


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def network(shape: str, device: str, dtype: torch.dtype | None = None) -> Transformer:
    sizes = SHAPES[shape]
    config = ModelConfig(
        vocab_size=VOCABULARY[shape],
        context_length=2048 if shape != "toy" else 128,
        head_size=sizes["hidden_size"] // sizes["num_heads"],
        **sizes,
    )
    return Transformer(config, seed=1).to(device, dtype or torch.bfloat16).eval()


def prompts(batch: int, length: int, seed: int, vocab: int = 1000) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(300, vocab, (batch, length), generator=generator).tolist()


def written(engine: Engine, texts: list[list[int]], strategy: Strategy, new: int, seed: int = 0) -> list[list[int]]:
    handles = [engine.submit(text, strategy, Ending(new), seed=seed, row=row) for row, text in enumerate(texts)]
    return [[piece.token for piece in handle] for handle in handles]


def checks(device: str) -> dict[str, Any]:
    """Compare texts of several lengths, written together, in float32."""
    model = network("toy", "cpu", torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.dim() > 1 else parameter
    tokenizer = filled(VOCABULARY["toy"])
    texts = [prompts(1, length, length)[0] for length in (3, 17, 40, 5, 64)]
    on_cpu = Engine(model, tokenizer, EngineConfig(batch_size=4))
    wanted = {kind: written(on_cpu, texts, kind, 60, seed=5) for kind in (Greedy(), PLAIN)}
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
    gpu = Engine(model.to(device), tokenizer, EngineConfig(batch_size=4))
    found = {type(kind).__name__: written(gpu, texts, kind, 60, seed=5) for kind in wanted}
    usage = gpu.usage
    return {
        **{type(kind).__name__: parted(found[type(kind).__name__], wanted[kind]) for kind in wanted},
        "transformers_greedy": parted([text[:40] for text in found["Greedy"]], greedy),
        "by_kernels": gpu._runner.swift is not None,
        "blocks_left": usage.blocks_in_use,
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
) -> dict[str, float]:
    engine = Engine(model, tokenizer, EngineConfig(batch_size=batch, cache_tokens=batch * (prompt + new + 32)))
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


def first_token(model: Transformer, tokenizer: Tokenizer, length: int) -> dict[str, float]:
    times = {}
    for chunk in (512, 2048):
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


if __name__ == "__main__":
    main()
