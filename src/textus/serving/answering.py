"""Send answers, whole or as they are written, as long as somebody is there to read them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from textus.serving.refusal import Refusal

T = TypeVar("T")
STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no"}


class Gone(Exception):
    """Say that whoever asked has left."""


class Json(Response):
    """A JSON value as UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write it; what is no character, as a lone surrogate, becomes a question mark."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
            "utf-8", "replace"
        )


def event(value: Any) -> bytes:
    """Return a value as one event of a stream."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + data.encode("utf-8", "replace") + b"\n\n"


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """Wait for `work`, or cancel it and raise `Gone` once whoever asked has left."""
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        await _stop(task, left)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stop(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


class Events(Response):
    """An answer that is sent as it is written; whoever leaves cancels it, and so does the end of its time."""

    def __init__(self, parts: AsyncGenerator[bytes, None], seconds: float) -> None:
        self._parts, self._seconds = parts, seconds
        self.status_code, self.background = 200, None
        self.init_headers(STREAM)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all parts."""
        sending = asyncio.ensure_future(self._send(send))
        left = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, left}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await _stop(sending, left)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async with asyncio.timeout(self._seconds), contextlib.aclosing(self._parts) as parts:
                async for part in parts:
                    await send(_body(part))
        except TimeoutError:
            late = Refusal(504, f"the answer took more than {self._seconds:g} s", code="timeout")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):  # a reader that is too slow may not take even this
                    await send(_body(event(late.body)))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}
