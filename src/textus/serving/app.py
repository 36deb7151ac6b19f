"""The application: routes, and around them the layers that every request passes."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textus.serving.answering import Gone, Json
from textus.serving.keys import Keys
from textus.serving.openapi import OPEN
from textus.serving.refusal import Refusal
from textus.serving.routes import Routes

FREE = (*OPEN, "/metrics")
"""What does not count as a request under way."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_logger = logging.getLogger(__name__)
Answer = Callable[[Request], Awaitable[Response]]


def application(routes: Routes, keys: Keys, hosts: tuple[str, ...]) -> ASGIApp:
    """Return the server as an ASGI application; with `hosts`, only requests that name one of these are answered."""
    asked: Mapping[str, Answer] = {
        "/v1/completions": routes.completions,
        "/v1/chat/completions": routes.chat,
        "/v1/embeddings": routes.embeddings,
        "/v1/moderations": routes.moderations,
        "/v1/fill": routes.fill,
        "/tokenize": routes.tokenize,
        "/detokenize": routes.detokenize,
    }
    told: Mapping[str, Answer] = {
        "/": routes.page,
        "/v1/models": routes.models,
        "/v1/models/{name:path}": routes.model,
        "/livez": routes.alive,
        "/readyz": routes.ready,
        "/metrics": routes.measured,
        "/openapi.json": routes.described,
    }
    made = Router(
        [
            *(Route(path, answer, methods=["POST"]) for path, answer in asked.items()),
            *(Route(path, answer, methods=["GET"]) for path, answer in told.items()),
        ],
        redirect_slashes=False,
    )
    return Layers(made, routes, keys, hosts)


class Layers:
    """Name each request, ask for its key, count it, and turn what is refused into an answer."""

    def __init__(self, inner: ASGIApp, routes: Routes, keys: Keys, hosts: tuple[str, ...]) -> None:
        self._inner, self._routes, self._keys, self._hosts = inner, routes, keys, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            assert scope["type"] in ("websocket", "lifespan")
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        number = given if _ID.fullmatch(given) else secrets.token_hex(12)
        begun = False

        async def named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                added = MutableHeaders(raw=message["headers"])
                added["x-request-id"], added["x-content-type-options"] = number, "nosniff"
                if message["status"] >= 400:
                    self._routes.metrics.refused[message["status"]] += 1
            await send(message)

        counts = scope["path"] not in FREE
        self._routes.open += counts
        try:
            scope["app"] = self._inner  # a route then raises what it would answer in a form of its own
            scope["state"] = {"id": number, "who": self._admitted(scope["path"], headers)}
            await self._inner(scope, receive, named)
        except Gone:
            return  # nobody is there to answer
        except Refusal as refusal:
            await _answer(refusal)(scope, receive, named)
        except HTTPException as error:
            await _answer(_unrouted(scope, error), error.headers)(scope, receive, named)
        except TimeoutError:
            await _answer(Refusal(504, "the answer took too long", code="timeout"))(scope, receive, named)
        except Exception:
            _logger.exception("a request failed")
            if not begun:
                await _answer(Refusal(500, "a fault of the server", code="internal_error"))(scope, receive, named)
        finally:
            self._routes.open -= counts

    def _admitted(self, path: str, headers: Headers) -> str:
        """Return who asks, or refuse."""
        host = re.sub(r":\d*$", "", headers.get("host", "")).lower()
        if self._hosts and host not in self._hosts:
            # a page elsewhere whose name was made to lead here would be let in by the browser
            raise Refusal(403, f"this server does not answer for host `{host[:200]}`", code="unknown_host")
        who = self._keys.holder(headers.get("authorization", "")) if path not in OPEN else ""
        if path not in FREE and self._routes.open > self._routes.limits.max_requests:
            message = f"{self._routes.limits.max_requests} requests are being answered already"
            raise Refusal(503, message, code="overloaded")
        return who


def _answer(refusal: Refusal, more: Mapping[str, str] | None = None) -> Response:
    return Json(refusal.body, status_code=refusal.status, headers={**(more or {}), **refusal.headers})


def _unrouted(scope: Scope, error: HTTPException) -> Refusal:
    """Say that a route or method is not there in the form of all other errors."""
    path = scope["path"][:200]
    if error.status_code == 405:
        return Refusal(405, f"{scope['method']} is no way to ask {path}", code="method_not_allowed")
    return Refusal(error.status_code, f"there is nothing at {path}", code="not_found")
