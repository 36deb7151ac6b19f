"""What a server costs: the same texts by the engine in this process, over HTTP, and by `transformers serve`.

    python benchmarks/serving.py [--shape 31M] [--streams 16 64] [--new 48] [--prompt 64] [--threads 1] [--toy]
    python benchmarks/serving.py --theirs [--path DIR]     # DIR holds what `transformers serve` needs beside
    python benchmarks/serving.py --shape 124M --device cuda --streams 64 --new 256 --skip whole first --guard 22M

All write from random weights of one shape, the likeliest token each time, so that texts can be compared:
`same_texts` is the share that is the other's, character for character. `engine` and `http` are CPU seconds of the two
processes for each 1000 tokens; `overhead` is how much longer a step takes than in this process: by the clock on a GPU,
and on a CPU, where the two processes and the client share its cores, by the CPU seconds of both. `first` is the time to
the first text of requests that come all at once to a server whose queue is bounded, how many it refused, and the bound
divided by the speed of reading. `guarded` is the same behind the default policy and a classifier of random weights that
finds nothing, and `guard` what one such takes for a text of 512 tokens, alone and 64 together.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import torch
from decode import SHAPES, VOCABULARY, filled

from textus import storage
from textus.checkpoint.checkpoint import write_model
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.strategy import Greedy
from textus.decoding.writer import Ending
from textus.model.config import ModelConfig
from textus.model.headed import Headed, TaskConfig
from textus.model.transformer import Transformer
from textus.safety.network import THRESHOLDS, Network
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.load import load

GUARDS = {
    "toy": {"num_layers": 2, "hidden_size": 64, "num_heads": 4, "num_kv_heads": 4, "intermediate_size": 128},
    "3M": {"num_layers": 4, "hidden_size": 192, "num_heads": 3, "num_kv_heads": 3, "intermediate_size": 512},
    "22M": {"num_layers": 12, "hidden_size": 384, "num_heads": 6, "num_kv_heads": 6, "intermediate_size": 1024},
}
"""Their names count what is not the table of tokens."""
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = arguments()
    shape = "toy" if options.toy else options.shape
    torch.set_num_threads(options.threads)
    model, tokenizer = built(shape, options.device)
    found: dict[str, Any] = {"benchmark": "serving", "shape": shape, "new": options.new, "prompt": options.prompt}
    found |= {"threads": options.threads, "device": options.device, "torch": torch.__version__}
    few, alone = options.streams[0], dict[int, list[str]]()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "model"
        place.mkdir()
        write_model(place, model, tokenizer, {}, {"do_sample": False})
        for streams in options.streams:
            found[f"in_process_{streams}"], alone[streams] = in_process(model, tokenizer, streams, options)
            say(found)
        del model
        room = max(options.streams) * (options.new + options.prompt + 16)
        if "served" not in options.skip:
            with ours(place, options, f"cache_tokens={room}", f"batch_size={max(options.streams)}") as it:
                for streams in options.streams:
                    found[f"served_{streams}"], told = served(it, tokenizer, streams, options, stream=True)
                    compare(found[f"served_{streams}"], found[f"in_process_{streams}"], options)
                    found[f"served_{streams}"]["same_texts"] = same(told, alone[streams])
                    say(found)
                if "whole" not in options.skip:
                    found[f"whole_{few}"], _ = served(it, tokenizer, few, options, stream=False)
                    say(found)
        if options.guard:
            judge = guard(Path(name) / "guard", "toy" if options.toy else options.guard, tokenizer, options)
            found["guard"] = latency(judge, found[f"in_process_{few}"]["ms_a_step"])
            say(found)
            with ours(
                *(place, options, f"cache_tokens={room}", f"batch_size={max(options.streams)}"),
                guard=Path(name) / "guard",
            ) as it:
                streams = max(options.streams)
                found[f"guarded_{streams}"], _ = served(it, tokenizer, streams, options, stream=True)
                compare(found[f"guarded_{streams}"], found[f"in_process_{streams}"], options)
                say(found)
        if "first" not in options.skip:
            with ours(place, options, f"max_prefill_tokens={options.bound}") as it:
                found["first"] = first(it, tokenizer, options)
                say(found)
        for kind in options.theirs:
            with theirs(place, kind, options) as it:
                for stream in (True, False):
                    name = f"transformers_{kind}_{'streamed' if stream else 'whole'}_{few}"
                    found[name], told = served(it, tokenizer, few, options, stream=stream)
                    found[name]["same_texts"] = same(told, alone[few])
                    found[name]["ours_is_faster"] = round(
                        found[f"served_{few}" if stream else f"whole_{few}"]["tokens_per_second"]
                        / found[name]["tokens_per_second"],
                        2,
                    )
                    say(found)
    print(json.dumps(found))


def arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser()
    made.add_argument("--shape", choices=list(SHAPES), default="31M")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument("--streams", type=int, nargs="+", default=[16, 64])
    made.add_argument("--new", type=int, default=48)
    made.add_argument("--prompt", type=int, default=64)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--crowd", type=int, default=128, help="requests that come at once to the bounded queue")
    made.add_argument("--bound", type=int, default=2048, help="tokens of prompts that may wait there")
    made.add_argument(
        "--theirs", nargs="*", default=[], choices=["batched", "plain"], help="`transformers serve`, in these ways"
    )
    made.add_argument("--guard", choices=list(GUARDS), help="behind a classifier of this shape, too")
    made.add_argument("--skip", nargs="*", default=[], choices=["served", "whole", "first"])
    made.add_argument(
        "--path", default="", help="what it needs that is not installed: `pip install --target DIR fastapi`"
    )
    made.add_argument("--toy", action="store_true", help="a shape that shows only that this runs")
    return made.parse_args()


def say(found: dict[str, Any]) -> None:
    name = list(found)[-1]
    print(name, found[name], file=sys.stderr, flush=True)


def built(shape: str, device: str) -> tuple[Transformer, Any]:
    sizes = SHAPES[shape]
    head = sizes["hidden_size"] // sizes["num_heads"]
    config = ModelConfig(vocab_size=VOCABULARY[shape], context_length=1024, head_size=head, **sizes)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return Transformer(config, seed=1).to(device, dtype).eval(), filled(config.vocab_size)


def prompts(tokenizer: Tokenizer, count: int, length: int, seed: int) -> list[list[int]]:
    """Return prompts behind the token that begins texts, as `transformers serve` reads a text."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(300, 1000, (count, length - 1), generator=generator).tolist()
    return [tokenizer.frame(tokens) for tokens in drawn]


def in_process(
    model: Transformer, tokenizer: Tokenizer, streams: int, options: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Write the texts here; the best of two runs behind one that is not measured, without and with their text."""
    size = streams * (options.prompt + options.new + 16)
    engine = Engine(model, tokenizer, EngineConfig(batch_size=streams, cache_tokens=size))
    found: dict[str, Any] = {"tokens_per_second": 0.0}
    for seed, with_text in enumerate((False, False, False, True, True)):
        handles = [
            engine.submit(tokens, Greedy(), Ending(options.new), seed=seed, row=row)
            for row, tokens in enumerate(prompts(tokenizer, streams, options.prompt, seed))
        ]
        began, cpu, before = time.perf_counter(), time.process_time(), engine.usage.tokens_written
        texts = [""] * streams
        while engine.step():
            if with_text:
                texts = [text + handle.drain()[0] for text, handle in zip(texts, handles, strict=True)]
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        written = engine.usage.tokens_written - before
        name = "tokens_per_second_with_text" if with_text else "tokens_per_second"
        if seed and written / seconds > found.get(name, 0.0):
            found[name] = round(written / seconds, 1)
            found["ms_a_step"] = round(1000 * streams / found["tokens_per_second"], 3)
            found["cpu"] = round(1000 * cpu / written, 3)
    return found, [text + handle.drain()[0] for text, handle in zip(texts, handles, strict=True)]


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
def ours(place: Path, options: argparse.Namespace, *limits: str, guard: Path | None = None) -> Iterator[Served]:
    words = [word for limit in (*limits, "max_requests=1024") for word in ("--set", limit)]
    command = [sys.executable, "-m", "textus", "serve", str(place), "--port", "0", "--json", *words]
    command += ["--threads", str(options.threads), "--device", options.device]
    command += ["--guard", str(guard), "--policy", "default"] if guard else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield Served("model", int(said["url"].rpartition(":")[2]), process.pid, said["engine"])
    finally:
        process.terminate()
        process.wait()


def guard(place: Path, shape: str, tokenizer: Tokenizer, options: argparse.Namespace) -> Network:
    """Write a classifier of random weights that never finds anything, and open it."""
    sizes = GUARDS[shape]
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=512,
        head_size=sizes["hidden_size"] // sizes["num_heads"],
        attention="bidirectional",
        prediction_offset=0,
        **sizes,
    )
    labels = ("harassment", "hate", "illicit", "jailbreak")
    model = Headed(config, TaskConfig("classify", labels, several=True), seed=1)
    place.mkdir()
    write_model(place, model.to(torch.bfloat16 if options.device == "cuda" else torch.float32), tokenizer, {})
    storage.write_json(place / THRESHOLDS, {"thresholds": dict.fromkeys(labels, 1.0)})
    return Network.of(load(place, device=options.device))


def latency(judge: Network, step: float) -> dict[str, float]:
    """Time what a text of 512 tokens takes; `of_decoding` is its share of writing them, at `step` milliseconds each."""
    texts = [judge.tokenizer.decode(tokens[1:]) for tokens in prompts(judge.tokenizer, 64, 512, 0)]
    times: dict[str, list[float]] = {"one": [], "cpu": [], "together": []}
    for text in texts[:33]:
        began, cpu = time.perf_counter(), time.process_time()
        judge(text)
        times["one"].append(1000 * (time.perf_counter() - began))
        times["cpu"].append(1000 * (time.process_time() - cpu))
    for _ in range(3):
        began = time.perf_counter()
        judge.logits(texts)
        times["together"].append(1000 * (time.perf_counter() - began))
    parameters = sum(part.numel() for part in judge.model.parameters())
    middle = {name: round(statistics.median(values[len(values) // 10 :]), 2) for name, values in times.items()}
    return {"parameters": parameters, **middle, "of_decoding": round(middle["one"] / (512 * step), 4)}


@contextmanager
def theirs(place: Path, kind: str, options: argparse.Namespace) -> Iterator[Served]:
    port = 8765
    path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH", ""), options.path) if part)
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(place), "--port", str(port)]
    command += ["--device", options.device, "--log-level", "error"]
    command += ["--continuous-batching"] if kind == "batched" else []
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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


def served(
    it: Served, tokenizer: Tokenizer, streams: int, options: argparse.Namespace, *, stream: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ask for all texts at once; the faster of two runs behind one that is not measured."""
    best: dict[str, Any] = {"tokens_per_second": 0.0}
    for seed in (2, 3, 4):
        before, began = it.cpu(), time.perf_counter()
        told = asyncio.run(crowd(it, tokenizer, prompts(tokenizer, streams, options.prompt, seed), options.new, stream))
        seconds, after = time.perf_counter() - began, it.cpu()
        written = sum(one["tokens"] for one in told)
        http, engine = (1000 * (then - now) / written for now, then in zip(before, after, strict=True))
        if seed > 2 and written / seconds > best["tokens_per_second"]:
            best = {
                "tokens_per_second": round(written / seconds, 1),
                "ms_a_step": round(1000 * streams * seconds / written, 3),
                "events_a_text": round(statistics.mean(one["events"] for one in told), 1),
                "http": round(http, 3),
                "engine": round(engine, 3),
                "failed": sum(one["status"] != 200 for one in told),
                "first_p50": round(statistics.median(one["first"] for one in told), 3),
            }
    return best, told


def compare(mine: dict[str, Any], alone: dict[str, Any], options: argparse.Namespace) -> None:
    """Say what serving adds."""
    if options.device == "cpu":
        mine["overhead"] = round((mine["engine"] + mine["http"]) / alone["cpu"] - 1, 3)
        mine["overhead_of_engine"] = round(mine["engine"] / alone["cpu"] - 1, 3)
    else:
        mine["overhead"] = round(alone["tokens_per_second"] / mine["tokens_per_second"] - 1, 3)


def same(told: list[dict[str, Any]], texts: list[str]) -> float:
    return round(statistics.mean(one["text"] == text for one, text in zip(told, texts, strict=True)), 3)


def first(it: Served, tokenizer: Tokenizer, options: argparse.Namespace) -> dict[str, float]:
    asyncio.run(crowd(it, tokenizer, prompts(tokenizer, 4, options.prompt, 9), 4, True))
    began = time.perf_counter()
    asyncio.run(crowd(it, tokenizer, prompts(tokenizer, options.bound // options.prompt, options.prompt, 8), 1, True))
    reading = options.bound / (time.perf_counter() - began)
    told = asyncio.run(crowd(it, tokenizer, prompts(tokenizer, options.crowd, options.prompt, 4), options.new, True))
    times = sorted(one["first"] for one in told if one["status"] == 200)
    return {
        "max_prefill_tokens": options.bound,
        "requests": len(told),
        "refused": sum(one["status"] == 503 for one in told),
        "median": round(statistics.median(times), 3),
        "p99": round(times[min(len(times) - 1, int(0.99 * len(times)))], 3),
        "reads_tokens_per_second": round(reading, 1),
        "bound_over_speed": round(options.bound / reading, 3),
    }


async def crowd(
    it: Served, tokenizer: Tokenizer, texts: list[list[int]], new: int, stream: bool
) -> list[dict[str, Any]]:
    return list(await asyncio.gather(*(asked(it, tokenizer, tokens, new, stream) for tokens in texts)))


async def asked(it: Served, tokenizer: Tokenizer, tokens: list[int], new: int, stream: bool) -> dict[str, Any]:
    """Ask for one text and return its status, its tokens, and when its first piece came."""
    fields: dict[str, Any] = {"model": it.model, "max_tokens": new, "temperature": 0, "stream": stream}
    fields |= {"prompt": tokens} if it.engine else {"prompt": tokenizer.decode(tokens[1:])}  # theirs takes text alone
    if it.engine and stream:
        fields["stream_options"] = {"include_usage": True}
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port, limit=2**22)
    body = json.dumps(fields).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status, times, lines = int((await reader.readline()).split()[1]), [], []
    async for line in reader:
        if line.startswith(b"data: {"):
            times.append(time.perf_counter() - began)
            lines.append(line.removeprefix(b"data: "))
        elif line.startswith(b"{"):
            times.append(time.perf_counter() - began)
            lines.append(line)
    writer.close()
    parts = [json.loads(line) for line in lines] if status == 200 else []
    usage = next((part["usage"] for part in reversed(parts) if part.get("usage")), {"completion_tokens": 0})
    assert not parts or usage["prompt_tokens"] == len(tokens), (usage, len(tokens))
    text = "".join(choice["text"] for part in parts for choice in part["choices"])
    return {
        "status": status,
        "tokens": usage["completion_tokens"],
        "first": times[0] if times else 0.0,
        "events": len(lines),
        "text": text,
    }


if __name__ == "__main__":
    main()
