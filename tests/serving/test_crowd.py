"""Many at once: some hang up, some read slowly, and nobody else is the worse for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

CROWD = 64
LONG = {"max_tokens": 4000, "min_tokens": 4000}
"""A text that nobody waits for: tests would not end if hanging up did not end it."""


def fields(number: int, **more: Any) -> dict[str, Any]:
    """A request of its own."""
    prompt = f"the fox {number}"
    return {"model": "tiny", "prompt": prompt, "seed": number, "temperature": 1, "max_tokens": 24, **more}


async def stream(server: Any, asked: dict[str, Any], pieces: int | None, wait: asyncio.Event | None = None) -> str:
    """Read a stream to its end, or hang up behind so many pieces; with `wait`, read nothing until that is set."""
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=2**16)
    body = json.dumps({**asked, "stream": True}).encode()
    head = [f"{name}: {value}" for name, value in server.headers.items()]
    lines = ["POST /v1/completions HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *head, "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    if wait is not None:
        await wait.wait()
    text, count = "", 0
    async for line in reader:
        if line.startswith(b"data: {"):
            (choice,) = json.loads(line[6:])["choices"]
            text, count = text + choice["text"], count + 1
            if count == pieces:
                writer.transport.abort()  # as a client that was killed
                return text
        if line.startswith(b"data: [DONE]"):
            break
    writer.close()
    await writer.wait_closed()
    return text


def test_who_hangs_up_frees_what_it_held_and_disturbs_nobody(server: Any) -> None:
    kept = range(0, CROWD, 2)
    alone = {number: server.write(**fields(number))["choices"][0]["text"] for number in list(kept)[:8]}
    cancelled = server.metric("vllm:request_success_total")

    async def crowd() -> dict[int, str]:
        slow = asyncio.Event()
        leaving = [stream(server, fields(number, **LONG), 1) for number in range(1, CROWD, 2)]
        staying = {
            number: asyncio.ensure_future(stream(server, fields(number), None, slow if number == 0 else None))
            for number in kept
        }
        await asyncio.gather(*leaving, *(task for number, task in staying.items() if number))
        slow.set()  # whoever read nothing until now finds all of it
        return {number: await task for number, task in staying.items()}

    together = asyncio.run(crowd())
    assert {number: together[number] for number in alone} == alone
    server.until("vllm:num_requests_running", 0)
    server.until("vllm:kv_cache_usage_perc", 0)
    assert server.metric("vllm:num_requests_waiting") == 0
    assert server.metric("vllm:request_success_total") - cancelled == len(kept)
    server.until("textus:requests_open", 0)


def test_who_hangs_up_on_a_whole_answer_frees_it_too(server: Any) -> None:
    async def leave() -> None:
        body = json.dumps(fields(1, **LONG)).encode()
        _, writer = await asyncio.open_connection(server.host, server.port)
        head = [f"{name}: {value}" for name, value in server.headers.items()]
        lines = ["POST /v1/completions HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *head, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        await asyncio.to_thread(server.until, "vllm:num_requests_running", 1)
        writer.transport.abort()

    asyncio.run(leave())
    server.until("vllm:num_requests_running", 0)
    server.until("vllm:kv_cache_usage_perc", 0)


def test_a_queue_that_is_full_says_when_to_come_again(server: Any) -> None:
    """Prompts of 256 tokens, of which 2048 may wait: of many at once some are refused, and the others are answered."""
    ids = list(range(10, 250))

    async def crowd() -> list[Any]:
        asked = {"model": "tiny", "max_tokens": 1, "temperature": 0}
        return await asyncio.gather(
            *(
                asyncio.to_thread(server.ask, "/v1/completions", {**asked, "prompt": [[number, *ids]] * 4})
                for number in range(20)
            )
        )

    answers = asyncio.run(crowd())
    for answer in answers:
        if answer.status != 200:
            assert answer.status == 503 and answer.error["code"] == "overloaded"
            assert 1 <= int(answer.headers["retry-after"]) <= 120
    assert any(answer.status == 200 for answer in answers)
    server.until("vllm:kv_cache_usage_perc", 0)
