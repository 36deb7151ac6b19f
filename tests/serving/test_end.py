"""How it ends: the engine killed, the server asked to stop, and what is refused before it begins."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import textus
from textus.errors import ConfigError, ResourceError, TextusError
from textus.serving.keys import Keys
from textus.serving.run import Place
from textus.verbs.serve import Setup

LONG = {"model": "tiny", "prompt": "the", "max_tokens": 4000, "min_tokens": 4000, "stream": True}
SHORT = {"model": "tiny", "prompt": "the", "max_tokens": 200, "min_tokens": 200, "stream": True, "temperature": 0}


def test_an_engine_that_is_killed_is_told_of_and_started_again_and_the_server_ends_in_order(
    another: Any, directories: dict[str, Path]
) -> None:
    with another([str(directories["tiny"])]) as server:
        text = server.write(max_tokens=8)["choices"][0]["text"]
        parts = server.pieces("/v1/completions", LONG)
        assert "error" not in next(parts)
        os.kill(server.engine, signal.SIGKILL)
        *_, last = parts
        assert last["error"]["code"] == "engine_down" and set(last["error"]) == {"message", "type", "param", "code"}
        seen = set()
        while (answer := server.ask("/readyz")).status != 200:
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            refused = server.ask("/v1/completions", {"model": "tiny", "prompt": "the"})
            seen.add(refused.status)
        assert seen <= {503, 200}
        assert server.ask("/livez").status == 200
        assert server.write(max_tokens=8)["choices"][0]["text"] == text
        assert server.metric("textus:engine_starts_total") == 2

        # a name that leads here from elsewhere, as a page of somebody else may have made it
        headers = {**server.headers, "Host": "evil.example"}
        assert server.ask("/v1/completions", {"model": "tiny", "prompt": "x"}, headers).error["code"] == "unknown_host"
        assert server.ask("/v1/moderations", {"input": "x"}).error["code"] == "model_not_found"

        whole = [part["choices"][0]["text"] for part in server.pieces("/v1/completions", SHORT)]
        parts = server.pieces("/v1/completions", SHORT)
        begun = next(parts)["choices"][0]["text"]
        server.process.terminate()
        rest = [part["choices"][0] for part in parts]
        assert begun + "".join(one["text"] for one in rest) == "".join(whole)
        assert rest[-1]["finish_reason"] == "length"
        assert server.process.wait(240) == 0


def test_a_server_lives_as_long_as_its_block(directories: dict[str, Path]) -> None:
    with (
        textus.serve(f"small={directories['both']}", threads=1) as serving,
        urlopen(f"{serving.url}/v1/models") as answer,
    ):
        assert serving.models == ("small",)
        assert json.load(answer)["data"][0]["id"] == "small"
    with pytest.raises(ProcessLookupError):
        os.kill(serving.engine, 0)


def test_a_model_that_is_none_stops_the_server_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(TextusError, match="nothing"), textus.serve(tmp_path / "nothing"):
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
    with pytest.raises(ResourceError):
        Place(port=99999).bind()


def test_only_a_server_without_keys_asks_by_what_name_it_is_called() -> None:
    keys = Keys(((b"x" * 32, "Ada"),))
    assert "localhost" in Place().hosts and not Place(keys=keys).hosts
    Place("0.0.0.0", port=0, keys=keys).bind().close()


def test_names_of_models() -> None:
    def names(*models: str, adapters: tuple[str, ...] = ()) -> list[str]:
        return [one["name"] for one in Setup(models, adapters).as_frame()["models"]]

    assert names("runs/first", "other=runs/first", adapters=("lora", "l=lora@other")) == ["first", "other", "lora", "l"]
    with pytest.raises(ConfigError, match="two models are called `first`"):
        names("runs/first", "old/first")
    with pytest.raises(ConfigError, match="no model `none`"):
        names("runs/first", adapters=("lora@none",))
    with pytest.raises(ConfigError, match="no model was named"):
        names()
