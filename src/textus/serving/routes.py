"""What each route does: read the fields, ask the engine, shape the answer."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from textus.serving import fields, openapi, shapes
from textus.serving.answering import Events, Gone, Json, event, while_there
from textus.serving.config import Limits
from textus.serving.keys import Rates
from textus.serving.link import Link
from textus.serving.metrics import Metrics
from textus.serving.page import page
from textus.serving.refusal import Refusal
from textus.serving.shapes import Choice, Shape

_READ_ON = 16
"""So many times what is allowed is read, and not kept: who is cut off while it sends does not see the answer."""


@dataclass(eq=False)
class Routes:
    """Answer requests with one engine."""

    link: Link
    limits: Limits
    rates: Rates
    metrics: Metrics
    created: int
    open: int = 0
    """How many requests are being answered."""
    draining: bool = False

    async def completions(self, request: Request) -> Response:
        """Continue prompts."""
        given = await self._read(request, fields.COMPLETION)
        if len(given["prompt"]) * given["n"] > self.limits.max_texts:
            message = (
                f"{len(given['prompt'])} prompts times `n` {given['n']} are more than {self.limits.max_texts} texts"
            )
            raise Refusal(400, message, param="n", code="too_many_texts")
        top = -1 if given["logprobs"] is None else given["logprobs"]
        job = self._job(request, given, top, given["max_tokens"], "max_tokens")
        return await self._write(request, given, {**job, "prompts": given["prompt"], "echo": given["echo"]})

    async def chat(self, request: Request) -> Response:
        """Answer in a conversation."""
        given = await self._read(request, fields.CHAT)
        if given["top_logprobs"] is not None and not given["logprobs"]:
            raise Refusal(400, "`top_logprobs` needs `logprobs` true", param="top_logprobs", code="invalid_value")
        if given["n"] > self.limits.max_texts:
            raise Refusal(400, f"`n` is more than {self.limits.max_texts} texts", param="n", code="too_many_texts")
        named = "max_completion_tokens" if given["max_completion_tokens"] else "max_tokens"
        top = (given["top_logprobs"] or 0) if given["logprobs"] else -1
        most = given[named] or self._model(given["model"])["max_tokens"]
        job = self._job(request, given, top, most, named)
        shorten = given["truncation"] == "auto"
        return await self._write(request, given, {**job, "messages": given["messages"], "shorten": shorten})

    async def embeddings(self, request: Request) -> Response:
        """Turn texts into vectors."""
        given = await self._read(request, fields.EMBEDDING)
        self._model(given["model"])
        job = {"op": "embed", "model": given["model"], "texts": given["input"], "dimensions": given["dimensions"]}
        found = await self._ask(request, job)
        self.rates.used(request.state.who, found["tokens"])
        return Json(shapes.embeddings(given["model"], found["vectors"], found["tokens"], given["encoding_format"]))

    async def moderations(self, request: Request) -> Response:
        """Judge texts."""
        given = await self._read(request, fields.MODERATION)
        found = await self._ask(request, {"op": "moderate", "texts": given["input"], "side": given["side"]})
        model = "textus-guard" if found["learnt"] else "textus-rules"
        return Json(shapes.moderation(f"modr-{request.state.id}", model, found["verdicts"], found["harms"]))

    async def models(self, request: Request) -> Response:
        """List the models."""
        self.link.check()
        return Json({"object": "list", "data": [self._told(name) for name in self.link.models]})

    async def model(self, request: Request) -> Response:
        """Tell of one model."""
        self.link.check()
        name = request.path_params["name"]
        self._model(name)
        return Json(self._told(name))

    async def tokenize(self, request: Request) -> Response:
        """Return the tokens of a text or of a conversation."""
        given = await self._read(request, fields.TOKENIZE)
        if (given["prompt"] is None) == (given["messages"] is None):
            raise Refusal(400, "give `prompt` or `messages`", param="prompt", code="missing_required_parameter")
        job = {"op": "tokenize", "model": self._name(given), "prompt": given["prompt"], "messages": given["messages"]}
        found = await self._ask(request, {**job, "frame": given["add_special_tokens"]})
        return Json(found if given["return_token_strs"] else {**found, "token_strs": None})

    async def detokenize(self, request: Request) -> Response:
        """Return the text of tokens."""
        given = await self._read(request, fields.DETOKENIZE)
        job = {"op": "detokenize", "model": self._name(given), "tokens": given["tokens"]}
        return Json(await self._ask(request, job))

    async def fill(self, request: Request) -> Response:
        """Fill the blanks in a text: an extension, for models that read both ways."""
        given = await self._read(request, fields.FILL)
        self._model(given["model"])
        job = {"op": "fill", "model": given["model"], "text": given["text"], "top_k": given["top_k"]}
        return Json({"object": "fill", "model": given["model"], **await self._ask(request, job)})

    async def alive(self, request: Request) -> Response:
        """Say that this process runs."""
        return PlainTextResponse("alive\n")

    async def ready(self, request: Request) -> Response:
        """Say whether requests are taken."""
        if self.draining:
            raise Refusal(503, "the server is being stopped", code="draining")
        self.link.check()
        return PlainTextResponse("ready\n")

    async def measured(self, request: Request) -> Response:
        """Return the metrics in Prometheus' format."""
        usage: Mapping[str, Any] = {}
        if self.link.state == "ready":
            usage = await while_there(request, self.link.answer({"op": "usage"}))
        text = self.metrics.text(usage, self.open, self.link.starts)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def described(self, request: Request) -> Response:
        """Return the server's description of itself."""
        return Json(openapi.document(tuple(self.link.models)))

    async def page(self, request: Request) -> Response:
        """Return the page to talk to the model."""
        document, policy = page()
        headers = {"content-security-policy": policy, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
        return Response(document, media_type="text/html", headers=headers)

    async def _read(self, request: Request, known: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
        """Read a request, whole and in time, or refuse it."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            # what a web page of somebody else may send without asking has another type
            raise Refusal(415, "the request must have `Content-Type: application/json`", code="unsupported_media_type")
        data, size = bytearray(), 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size <= self.limits.max_body_bytes:
                        data += part
                    elif size > _READ_ON * self.limits.max_body_bytes:
                        break
        except ClientDisconnect:
            raise Gone from None
        except TimeoutError:
            raise Refusal(408, f"the request took more than {self.limits.body_seconds:g} s", code="timeout") from None
        if size > self.limits.max_body_bytes:
            message = f"the request has more than {self.limits.max_body_bytes} bytes"
            raise Refusal(413, message, code="request_too_large")
        given = fields.read(known, fields.body(bytes(data)))
        if self.draining:
            raise Refusal(503, "the server is being stopped", code="draining")
        self.link.check()
        self.rates.admit(request.state.who)
        return given

    def _model(self, name: str) -> Mapping[str, Any]:
        if name not in self.link.models:
            known = ", ".join(self.link.models)
            raise Refusal(404, f"no model `{name[:200]}`; there are: {known}", param="model", code="model_not_found")
        return self.link.models[name]

    def _name(self, given: Mapping[str, Any]) -> str:
        name = given["model"] or next(iter(self.link.models))
        self._model(name)
        return str(name)

    def _told(self, name: str) -> dict[str, Any]:
        facts = {key: value for key, value in self.link.models[name].items() if key != "name"}
        length = facts["context_length"]
        return {
            "id": name,
            "object": "model",
            "created": self.created,
            "owned_by": "textus",
            "max_model_len": length,
            "textus": facts,
        }

    def _job(self, request: Request, given: Mapping[str, Any], top: int, most: int, named: str) -> dict[str, Any]:
        self._model(given["model"])
        if most > self.limits.max_tokens:
            message = f"`{named}` is {most}, and at most {self.limits.max_tokens} tokens are written here"
            raise Refusal(400, message, param=named, code="invalid_value")
        sampling = {name: given[name] for name in fields.SAMPLING if given[name] is not None}
        sampling["seed"] = sampling.get("seed", secrets.randbits(62)) % 2**63
        return {
            "op": "write",
            "model": given["model"],
            "prompts": None,
            "messages": None,
            "shorten": False,
            "echo": False,
            "sampling": sampling,
            "schema": given["response_format"],
            "n": given["n"],
            "top": top,
            "max_tokens": most,
        }

    async def _ask(self, request: Request, job: Mapping[str, Any]) -> Any:
        async with asyncio.timeout(self.limits.request_seconds):
            return await while_there(request, self.link.answer({**job, **_asker(request)}))

    async def _write(self, request: Request, given: Mapping[str, Any], job: Mapping[str, Any]) -> Response:
        is_chat = job["messages"] is not None
        prefix = "chatcmpl" if is_chat else "cmpl"
        shape = Shape(
            f"{prefix}-{request.state.id}", int(time.time()), given["model"], is_chat, job["top"] >= 0, job["top"]
        )
        writing = Writing(self, shape, {**job, **_asker(request)})
        await while_there(request, writing.begin())
        if not given["stream"]:
            return Json(await while_there(request, writing.whole(self.limits.request_seconds)))
        return Events(writing.stream(given["stream_options"]), self.limits.request_seconds)


class Writing:
    """The texts of one request, from the engine to an answer."""

    def __init__(self, routes: Routes, shape: Shape, job: Mapping[str, Any]) -> None:
        self._routes, self._shape, self._job = routes, shape, job
        self._events = routes.link.events(job)
        self._clock = routes.metrics.begin(shape.model)
        self._prompt_tokens = self._left_out = 0
        self._written: dict[int, int] = {}

    async def begin(self) -> None:
        """Wait until the engine has taken the request; raise its refusal if it has not."""
        kind, value = await anext(self._events)
        if kind == "error":
            raise Refusal.of(value)
        self._prompt_tokens, self._left_out = value["prompt_tokens"], value["left_out"]

    async def whole(self, seconds: float) -> dict[str, Any]:
        """Wait for all texts."""
        choices = [Choice() for _ in range(len(self._job["prompts"] or [""]) * self._job["n"])]
        try:
            async with asyncio.timeout(seconds), contextlib.aclosing(self._pieces()) as pieces:
                async for index, piece in pieces:
                    choices[index].add(piece)
        except TimeoutError:
            raise Refusal(504, f"the answer took more than {seconds:g} s", code="timeout") from None
        return self._shape.whole(choices, self._usage(), self._left_out)

    async def stream(self, with_usage: bool) -> AsyncGenerator[bytes, None]:
        """Yield the parts of all texts as they come, then their usage if it is asked for."""
        extra = {"usage": None} if with_usage else {}
        seen: set[int] = set()
        try:
            async with contextlib.aclosing(self._pieces()) as pieces:
                async for index, piece in pieces:
                    for part in self._shape.parts(index, piece, index not in seen):
                        yield event(part | extra)
                    seen.add(index)
        except Refusal as refusal:
            yield event(refusal.body)
            return
        if with_usage:
            yield event(self._shape.usage(self._usage()))
        yield event("[DONE]")

    async def _pieces(self) -> AsyncGenerator[tuple[int, Choice], None]:
        """Yield each piece with the number of its text; what was written is counted even if nobody reads on."""
        try:
            async with contextlib.aclosing(self._events) as events:
                async for kind, value in events:
                    if kind == "error":
                        raise Refusal.of(value)
                    if kind == "piece":
                        index, text, told, finish, self._written[index] = value
                        self._clock.piece(finish)
                        yield index, Choice(text, told, finish)
                    else:
                        self._clock.over(self._usage())
        finally:
            self._routes.rates.used(self._job["who"], self._usage()["total_tokens"])

    def _usage(self) -> dict[str, int]:
        return shapes.usage(self._prompt_tokens, sum(self._written.values()))


def _asker(request: Request) -> dict[str, Any]:
    return {"who": request.state.who, "request": request.state.id, "route": request.url.path}
