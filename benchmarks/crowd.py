"""What a crowd does to a server: many streams of which some are killed, some not read, and the engine killed at last.

    python benchmarks/crowd.py [--streams 256] [--shape 31M] [--new 24] [--threads 1] [--toy]

A third of the clients are killed behind their first piece (the connection is reset), an eighth reads nothing until all
others have ended, the rest read. Greedy texts of whoever stays must be those that the same requests get alone
(`fixed_batch`), and blocks, requests and places in the queue must come back to none. Then the engine's process is
killed while as many write again: each is told, what is asked meanwhile gets 503, and the next engine answers as the
first did. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import torch

import serving
from textus.checkpoint.checkpoint import write_model

ZERO = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "textus:requests_open")

LONG = 900
"""Tokens that nobody waits for."""


def main() -> None:
    made = argparse.ArgumentParser()
    made.add_argument("--streams", type=int, default=256)
    made.add_argument("--shape", default="31M")
    made.add_argument("--new", type=int, default=24)
    made.add_argument("--prompt", type=int, default=16)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--device", default="cpu")
    made.add_argument("--toy", action="store_true", help="a shape that shows only that this runs")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    shape = "toy" if options.toy else options.shape
    model, tokenizer = serving.built(shape, options.device)
    found: dict[str, Any] = {"benchmark": "crowd", "shape": shape, "streams": options.streams}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "model"
        place.mkdir()
        write_model(place, model, tokenizer, {}, {"do_sample": False})
        del model
        tokens = options.streams * (options.prompt + options.new + 16)
        limits = ("fixed_batch=8", f"cache_tokens={tokens}", "max_prefill_tokens=100000")
        with serving.ours(place, options, *limits) as it:
            texts = serving.prompts(tokenizer, options.streams, options.prompt, 1)
            few = texts[: options.streams // 16]
            alone = [asyncio.run(asked(it, text, options.new, "reads"))["text"] for text in few]
            say(found, "crowd", crowded(it, texts, alone, options))
            say(found, "engine_killed", killed(it, texts, alone, options))
    print(json.dumps(found))


def say(found: dict[str, Any], name: str, value: Any) -> None:
    found[name] = value
    print(name, value, file=sys.stderr, flush=True)


def kind(number: int, known: int) -> str:
    """Return what a client does: those whose texts are known read, of the others every second is killed."""
    return "reads" if number < known else "sleeps" if number % 8 == 7 else "leaves" if number % 2 else "reads"


def crowded(
    it: serving.Served, texts: list[list[int]], alone: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    kinds = [kind(number, len(alone)) for number in range(len(texts))]

    async def all_of_them() -> list[dict[str, Any]]:
        awake = asyncio.Event()
        tasks = [
            asyncio.ensure_future(asked(it, text, LONG if what == "leaves" else options.new, what, awake))
            for text, what in zip(texts, kinds, strict=True)
        ]
        await asyncio.gather(*(task for task, what in zip(tasks, kinds, strict=True) if what != "sleeps"))
        awake.set()
        return list(await asyncio.gather(*tasks))

    began = time.perf_counter()
    told = asyncio.run(all_of_them())
    seconds = time.perf_counter() - began
    stayed = [one for one, what in zip(told, kinds, strict=True) if what != "leaves"]
    return {
        **{what: kinds.count(what) for what in ("reads", "sleeps", "leaves")},
        "seconds": round(seconds, 1),
        "whole": sum(one["whole"] for one in stayed),
        "as_alone": f"{sum(one['text'] == text for one, text in zip(told, alone, strict=False))} of {len(alone)}",
        "back_to_none_after": until_none(it),
        "first_p99": round(sorted(one["first"] for one in told)[int(0.99 * (len(told) - 1))], 2),
    }


def killed(it: serving.Served, texts: list[list[int]], alone: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Kill the engine once the first text has begun."""

    async def all_of_them() -> list[dict[str, Any]]:
        begun = asyncio.Event()
        tasks = [asyncio.ensure_future(asked(it, text, LONG, "reads", begun=begun)) for text in texts]
        await begun.wait()
        os.kill(it.engine, signal.SIGKILL)
        return list(await asyncio.gather(*tasks))

    told = asyncio.run(all_of_them())
    died, refused = time.perf_counter(), 0
    while (status := ready(it)) != 200:
        refused += 1
        assert status == 503, status
        time.sleep(0.1)
    back = time.perf_counter() - died
    texts_again = [asyncio.run(asked(it, text, options.new, "reads"))["text"] for text in texts[: len(alone)]]
    return {
        "told": sum(one["error"] == "engine_down" for one in told),
        "not_ready_answers": refused,
        "seconds_until_ready": round(back, 1),
        "as_before": f"{sum(map(str.__eq__, texts_again, alone))} of {len(alone)}",
        "back_to_none_after": until_none(it),
    }


def ready(it: serving.Served) -> int:
    try:
        return int(urlopen(f"http://127.0.0.1:{it.port}/readyz").status)
    except HTTPError as error:
        return error.code


def until_none(it: serving.Served) -> float:
    """Wait until nothing is held any more, and return for how long."""
    began = time.perf_counter()
    while time.perf_counter() - began < 60:
        lines = urlopen(f"http://127.0.0.1:{it.port}/metrics").read().decode().splitlines()
        if not any(float(line.rpartition(" ")[2]) for line in lines if line.startswith(ZERO)):
            return round(time.perf_counter() - began, 2)
        time.sleep(0.05)
    raise AssertionError("something is still held")


async def asked(
    it: serving.Served,
    tokens: list[int],
    new: int,
    what: str,
    awake: asyncio.Event | None = None,
    begun: asyncio.Event | None = None,
) -> dict[str, Any]:
    """Ask for one stream and read it, or not."""
    fields = {"model": it.model, "prompt": tokens, "max_tokens": new, "min_tokens": new, "stream": True}
    body, began = json.dumps(fields).encode(), time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port, limit=2**14)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
    if what == "sleeps" and awake is not None:
        await awake.wait()
    found: dict[str, Any] = {"text": "", "first": 0.0, "whole": False, "error": ""}
    async for line in reader:
        if line.startswith(b"data: {"):
            found["first"] = found["first"] or time.perf_counter() - began
            part = json.loads(line.removeprefix(b"data: "))
            if "error" in part:
                found["error"] = part["error"]["code"]
                break
            if begun is not None:
                begun.set()
            found["text"] += part["choices"][0]["text"]
            found["whole"] = part["choices"][0]["finish_reason"] == "length"
            if what == "leaves":
                writer.transport.abort()
                return found
        elif line.startswith(b'{"error"'):
            found["error"] = json.loads(line)["error"]["code"]
    writer.close()
    return found


if __name__ == "__main__":
    main()
