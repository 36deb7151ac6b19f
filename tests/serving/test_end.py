"""How it ends: the engine killed, the server asked to stop, and what is refused before it begins."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.errors import CheckpointError, ConfigError, ResourceError
from textus.serving.app import application
from textus.serving.config import Limits
from textus.serving.keys import Keys, Rates
from textus.serving.link import Link
from textus.serving.metrics import Metrics
from textus.serving.routes import Routes
from textus.serving.run import Place
from textus.verbs.serve import Setup

KEYS = Keys(((hashlib.sha256(b"a-key-of-some-length").digest(), "Ada"),))
SOURCE = str(Path(textus.__file__).parents[1])
LONG = {"model": "tiny", "prompt": "the", "max_tokens": 4000, "min_tokens": 4000, "stream": True}


def test_an_engine_that_is_killed_is_told_of_and_started_again(server: Any) -> None:
    text = server.write(max_tokens=8)["choices"][0]["text"]
    starts = server.metric("textus:engine_starts_total")
    parts = server.pieces("/v1/completions", LONG)
    assert "error" not in next(parts)
    os.kill(server.engine, signal.SIGKILL)
    *_, last = parts
    assert last["error"]["code"] == "engine_down" and set(last["error"]) == {"message", "type", "param", "code"}
    while (answer := server.ask("/readyz")).status != 200:
        assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
        assert server.ask("/v1/completions", {"model": "tiny", "prompt": "the"}).status in (503, 200)
    assert server.ask("/livez").status == 200
    assert server.write(max_tokens=8)["choices"][0]["text"] == text
    assert server.metric("textus:engine_starts_total") == starts + 1


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("frames.packed({'refused': {'message': 'no model here', 'hint': 'look elsewhere'}})", "no model here"),
        ("b''", "ended before it was ready"),
        ("b'no frame'", "ended before it was ready"),
    ],
)
def test_an_engine_that_cannot_start_at_all_ends_the_server(says: str, words: str) -> None:
    code = f"import sys; from textus.serving import frames; sys.stdout.buffer.write({says})"
    link = Link((sys.executable, "-c", f"import sys; sys.path.insert(0, {SOURCE!r}); {code}"), {})
    with pytest.raises(ResourceError, match=words):
        asyncio.run(link.run())
    assert link.state == "stopped"


def test_a_directory_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing"), textus.serve(tmp_path / "nothing"):
        raise AssertionError("it must not begin")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", ""])
def test_a_public_address_needs_keys(host: str) -> None:
    with pytest.raises(ConfigError, match="no keys are asked for"):
        Place(host).bind()


def test_an_address_that_cannot_be_had_is_told() -> None:
    with Place(port=0).bind() as bound, pytest.raises(ResourceError, match="in use"):
        bound.listen()
        Place(port=bound.getsockname()[1]).bind()
    with pytest.raises(ResourceError, match=r"192\.0\.2\.1"):
        Place("192.0.2.1", anyone=True).bind()
    with pytest.raises(ConfigError, match="65535"):
        Place(port=99999).bind()


def test_only_a_server_without_keys_asks_by_what_name_it_is_called() -> None:
    keys = Keys(((b"x" * 32, "Ada"),))
    assert "localhost" in Place().hosts and not Place(keys=keys).hosts
    Place("0.0.0.0", port=0, keys=keys).bind().close()


def test_names_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("first", "old/first", "lora"):
        Path(name).mkdir(parents=True)

    def names(*models: str, adapters: tuple[str, ...] = ()) -> list[str]:
        return [one["name"] for one in Setup(models, adapters).as_frame()["models"]]

    assert names("first", "other=first", adapters=("lora", "l=lora@other")) == ["first", "other", "lora", "l"]
    with pytest.raises(ConfigError, match="two models are called `first`"):
        names("first", "old/first")
    with pytest.raises(ConfigError, match="no model `none`"):
        names("first", adapters=("lora@none",))
    with pytest.raises(ConfigError, match="no model was named"):
        names()


def test_an_application_refuses_before_it_asks_anybody() -> None:
    """Without an engine: who may ask, by what name, and that there is nobody to answer yet."""
    limits = Limits(max_requests=1)
    routes = Routes(Link((), {}), limits, Rates(limits), Metrics(), 0)

    def asked(path: str, keys: Keys = KEYS, **headers: str) -> tuple[int, str]:
        sent: list[Any] = []
        given = [(name.encode(), value.encode()) for name, value in {"host": "localhost:80", **headers}.items()]
        scope = {"type": "http", "path": path, "method": "GET", "headers": given, "query_string": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(application(routes, keys, ("localhost",))(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(body)["error"]["code"] if body.startswith(b"{") else body.decode()

    shown = {"authorization": "Bearer a-key-of-some-length"}
    assert asked("/livez") == (200, "alive\n")
    assert asked("/livez", host="evil.example") == (403, "unknown_host")
    assert asked("/readyz") == asked("/v1/models", **shown) == (503, "engine_down")
    assert asked("/v1/models") == (401, "invalid_api_key")
    assert asked("/metrics", **shown)[0] == 200
    routes.open = 1
    assert asked("/v1/models", **shown) == (503, "overloaded")
    assert asked("/livez")[0] == 200
    routes.draining = True
    assert asked("/readyz") == (503, "draining")
