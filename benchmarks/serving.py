"""What a server costs: the same texts by the engine in this process, over HTTP, and by `transformers serve`.

    python benchmarks/serving.py [--shape 31M] [--streams 16 64] [--new 48] [--prompt 64] [--threads 1] [--toy]
    python benchmarks/serving.py --theirs [--path DIR]     # DIR holds what `transformers serve` needs beside

All write from random weights of one shape, with the same sampling. `engine` and `http` are CPU seconds of the two
processes for each 1000 tokens; `overhead` is how many more both take than the engine in process. `first` is the time to
the first text of requests that come all at once to a server whose queue is bounded, and how many it refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import torch
from decode import PLAIN, SHAPES, VOCABULARY, filled

from textus.checkpoint.checkpoint import write_model
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.writer import Ending
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

SAMPLING = {"temperature": 0.8, "top_p": 0.95}
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = arguments()
    shape = "toy" if options.toy else options.shape
    torch.set_num_threads(options.threads)
    model, tokenizer = built(shape)
    found: dict[str, Any] = {"benchmark": "serving", "shape": shape, "new": options.new, "prompt": options.prompt}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "model"
        place.mkdir()
        write_model(place, model, tokenizer, {}, {"do_sample": True, "top_k": 50, "temperature": 0.8, "top_p": 0.95})
        for streams in options.streams:
            found[f"in_process_{streams}"] = in_process(model, tokenizer, streams, options)
            say(found)
        with ours(place, options, f"cache_tokens={max(options.streams) * (options.new + options.prompt + 16)}") as it:
            for streams in options.streams:
                found[f"served_{streams}"] = served(it, streams, options, stream=True)
                mine, alone = found[f"served_{streams}"], found[f"in_process_{streams}"]
                mine["overhead"] = round((mine["engine"] + mine["http"]) / alone["cpu"] - 1, 3)
                say(found)
            found[f"whole_{options.streams[0]}"] = served(it, options.streams[0], options, stream=False)
        bound = options.bound
        with ours(place, options, f"max_prefill_tokens={bound}") as it:
            found["first"] = {"max_prefill_tokens": bound, **first(it, options)}
            say(found)
        if options.theirs:
            with theirs(place, options) as it:
                found[f"transformers_{options.streams[0]}"] = served(it, options.streams[0], options, stream=False)
    print(json.dumps(found))


def arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser()
    made.add_argument("--shape", choices=list(SHAPES), default="31M")
    made.add_argument("--streams", type=int, nargs="+", default=[16, 64])
    made.add_argument("--new", type=int, default=48)
    made.add_argument("--prompt", type=int, default=64)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--crowd", type=int, default=128, help="requests that come at once to the bounded queue")
    made.add_argument("--bound", type=int, default=2048, help="tokens of prompts that may wait there")
    made.add_argument("--theirs", action="store_true", help="`transformers serve` beside")
    made.add_argument(
        "--path", default="", help="what it needs that is not installed: `pip install --target DIR fastapi`"
    )
    made.add_argument("--toy", action="store_true", help="a shape that shows only that this runs")
    return made.parse_args()


def say(found: dict[str, Any]) -> None:
    name = list(found)[-1]
    print(name, found[name], file=sys.stderr, flush=True)


def built(shape: str) -> tuple[Transformer, Any]:
    sizes = SHAPES[shape]
    head = sizes["hidden_size"] // sizes["num_heads"]
    config = ModelConfig(vocab_size=VOCABULARY[shape], context_length=1024, head_size=head, **sizes)
    return Transformer(config, seed=1).eval(), filled(config.vocab_size)


def prompts(count: int, length: int, seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(300, 1000, (count, length), generator=generator).tolist()


def in_process(model: Transformer, tokenizer: Any, streams: int, options: argparse.Namespace) -> dict[str, float]:
    size = streams * (options.prompt + options.new + 16)
    engine = Engine(model, tokenizer, EngineConfig(batch_size=streams, cache_tokens=size))
    for seed in (0, 1):  # the first is not measured
        began, cpu = time.perf_counter(), time.process_time()
        for row, tokens in enumerate(prompts(streams, options.prompt, seed)):
            engine.submit(tokens, PLAIN, Ending(options.new), seed=seed, row=row)
        written = engine.usage.tokens_written
        while engine.step():
            pass
        written = engine.usage.tokens_written - written
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"tokens_per_second": round(written / seconds, 1), "cpu": round(1000 * cpu / written, 3)}


class Served:
    """A server, and the processes that it has."""

    def __init__(self, model: str, port: int, http: int, engine: int = 0) -> None:
        self.model, self.port, self.http, self.engine = model, port, http, engine

    def cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of both processes."""
        return seconds_of(self.http), seconds_of(self.engine) if self.engine else 0.0


def seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def ours(place: Path, options: argparse.Namespace, *limits: str) -> Iterator[Served]:
    words = [word for limit in (*limits, "max_requests=1024") for word in ("--set", limit)]
    command = [sys.executable, "-m", "textus", "serve", str(place), "--port", "0", "--json", *words]
    process = subprocess.Popen([*command, "--threads", str(options.threads)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield Served("model", int(said["url"].rpartition(":")[2]), process.pid, said["engine"])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def theirs(place: Path, options: argparse.Namespace) -> Iterator[Served]:
    port = 8765
    path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH", ""), options.path) if part)
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(place), "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([*command, "--device", "cpu", *options_of_theirs()], env=environment)
    try:
        for _ in range(240):
            try:
                urlopen(f"http://localhost:{port}/health")
                break
            except URLError:
                assert process.poll() is None, "transformers serve has ended"
                time.sleep(0.5)
        yield Served(str(place), port, process.pid)
    finally:
        process.terminate()
        process.wait()


def options_of_theirs() -> Sequence[str]:
    return ("--continuous-batching", "--log-level", "error")


def served(it: Served, streams: int, options: argparse.Namespace, *, stream: bool) -> dict[str, float]:
    for seed in (2, 3):
        before, began = it.cpu(), time.perf_counter()
        told = asyncio.run(crowd(it, prompts(streams, options.prompt, seed), options.new, stream))
        seconds, after = time.perf_counter() - began, it.cpu()
    written = sum(one["tokens"] for one in told)
    http, engine = (1000 * (then - now) / written for now, then in zip(before, after, strict=True))
    return {
        "tokens_per_second": round(written / seconds, 1),
        "http": round(http, 3),
        "engine": round(engine, 3),
        "failed": sum(one["status"] != 200 for one in told),
    }


def first(it: Served, options: argparse.Namespace) -> dict[str, float]:
    asyncio.run(crowd(it, prompts(4, options.prompt, 9), 4, True))
    told = asyncio.run(crowd(it, prompts(options.crowd, options.prompt, 4), options.new, True))
    times = sorted(one["first"] for one in told if one["status"] == 200)
    return {
        "requests": len(told),
        "refused": sum(one["status"] == 503 for one in told),
        "median": round(statistics.median(times), 3),
        "p99": round(times[min(len(times) - 1, int(0.99 * len(times)))], 3),
    }


async def crowd(it: Served, texts: list[list[int]], new: int, stream: bool) -> list[dict[str, float]]:
    return list(await asyncio.gather(*(asked(it, tokens, new, stream) for tokens in texts)))


async def asked(it: Served, tokens: list[int], new: int, stream: bool) -> dict[str, float]:
    """Ask for one text and return its status, its tokens, and when its first piece came."""
    fields: dict[str, Any] = {"model": it.model, "max_tokens": new, **SAMPLING, "stream": stream}
    if it.engine:
        fields |= {"prompt": tokens, "min_tokens": new, "top_k": 50}
        fields |= {"stream_options": {"include_usage": True}} if stream else {}
    else:  # it takes text alone
        fields |= {"prompt": "".join(f"<{token - 300}>" for token in tokens)}
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port, limit=2**20)
    body = json.dumps(fields).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status, seconds, data = int((await reader.readline()).split()[1]), 0.0, b""
    async for line in reader:
        if line.startswith(b"data: {") and not seconds:
            seconds = time.perf_counter() - began
        if b'"completion_tokens"' in line:
            data = line
    writer.close()
    count = int(data.partition(b'"completion_tokens":')[2].split(b",")[0].strip(b" }")) if data else 0
    return {"status": status, "tokens": count, "first": seconds}


if __name__ == "__main__":
    main()
