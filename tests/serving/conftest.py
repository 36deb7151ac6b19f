"""One server with tiny models for all tests of this folder, and ways to ask it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from tokenizers import pre_tokenizers, trainers

import textus
from textus.adaptation import lora
from textus.adaptation.settings import LoraConfig
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import write_model
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.serving import answers, openapi
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained

SOURCE = str(Path(textus.__file__).parents[1])
KEY = "0123456789abcdef-the-key"
POLICY = """
otherwise = "allow"
[blocklist.looms]
words = ["forbidden loom"]
[windows.input]
step = 16
before = 24
after = 24
[windows.output]
step = 16
before = 24
after = 24
[output]
email = "redact"
"""
LAST = {"model": "tiny", "prompt": "the", "max_tokens": 200, "min_tokens": 200, "stream": True}
PATIENCE = 240
"""Seconds after which a server that says nothing has failed the test."""


def learnt() -> Tokenizer:
    engine = untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(["the quick brown fox jumps over the lazy dog. " * 20], trainer)
    return finish(engine)


def write(directory: Path, reads: str = "causal", seed: int = 1, context: int = 256) -> Path:
    """Write a model directory; `reads` is causal or bidirectional."""
    words = learnt()
    config = ModelConfig(
        vocab_size=words.vocab_size,
        context_length=context,
        num_layers=2,
        hidden_size=32,
        num_heads=4,
        num_kv_heads=2,
        head_size=8,
        intermediate_size=48,
        tied_embeddings=False,
        attention=reads,
        prediction_offset=1 if reads == "causal" else 0,
    )
    model = Transformer(config, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    directory.mkdir(parents=True)
    write_model(directory, model.eval(), words, {}, {"do_sample": True, "top_k": 0, "max_new_tokens": 12})
    return directory


def write_adapter(directory: Path, base: Path) -> Path:
    """Write an adapter that changes much of what a model says."""
    model, config = checkpoint.load(base).model, LoraConfig(rank=2)
    lora.attach(model, config, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(generator=torch.Generator().manual_seed(2))
    lora.save(directory, model, config, (), base=base, origin={})
    return directory


def unfit(name: str, value: Any) -> str:
    """Say where a value does not fit what the server says its answers are; empty where it does."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": answers.SCHEMAS}}
    error = next(Draft202012Validator(schema).iter_errors(value), None)
    return f"{error.json_path}: {error.message[:300]}" if error else ""


@dataclass(frozen=True)
class Answer:
    """What a request came to."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def check(self) -> None:
        """Hold every answer against the server's own description, each event of a stream too."""
        kind = self.headers.get("content-type", "").partition(";")[0]
        _, _, whole, event = openapi.ASKED.get(self.path, ("", {}, openapi.TOLD.get(self.path, ("", ""))[1], ""))
        if kind == "application/json":
            name = "Error" if self.status >= 400 else whole or ("Model" if "/models/" in self.path else "")
            assert not name or not (why := unfit(name, self.json)), why
        elif kind == "text/event-stream":
            lines = [line.removeprefix("data: ") for line in self.body.decode().split("\n\n") if line]
            for part in (json.loads(line) for line in lines if line != "[DONE]"):
                assert not (why := unfit("Error" if "error" in part else event, part)), why

    @property
    def error(self) -> dict[str, Any]:
        """The error, in the form that all errors have."""
        assert self.status >= 400, self.body
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error["message"], str) and isinstance(error["type"], str)
        assert isinstance(error["code"], str)
        assert error["param"] is None or isinstance(error["param"], str)
        return dict(error)

    @property
    def events(self) -> list[Any]:
        """The parts of a stream; the last says that it is whole."""
        assert self.headers["content-type"] == "text/event-stream; charset=utf-8"
        *parts, done, nothing = self.body.decode().split("\n\n")
        assert (done, nothing) == ("data: [DONE]", "")
        assert all(part.startswith("data: ") for part in parts)
        return [json.loads(part.removeprefix("data: ")) for part in parts]


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    host: str
    port: int
    key: str
    engine: int
    """The number of the engine's process."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    def open(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[HTTPConnection, Any]:
        """Send a request, and return before the answer is read."""
        connection = HTTPConnection(self.host, self.port, timeout=PATIENCE)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        method = "GET" if data is None else "POST"
        connection.request(method, path, data, self.headers if headers is None else dict(headers))
        return connection, connection.getresponse()

    def ask(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request and read the answer."""
        connection, response = self.open(path, body, headers)
        try:
            named = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, named, response.read(), path)
            answer.check()
            return answer
        finally:
            connection.close()

    def write(self, **fields: Any) -> Any:
        """Continue a prompt with the tiny model, always taking the likeliest token unless told otherwise."""
        answer = self.ask("/v1/completions", {"model": "tiny", "prompt": "the", "temperature": 0, **fields})
        assert answer.status == 200, answer.body
        return answer.events if fields.get("stream") else answer.json

    def chat(self, **fields: Any) -> Any:
        """Answer with the tiny model."""
        messages = [{"role": "user", "content": "the fox"}]
        answer = self.ask("/v1/chat/completions", {"model": "tiny", "messages": messages, "temperature": 0, **fields})
        assert answer.status == 200, answer.body
        return answer.events if fields.get("stream") else answer.json

    def pieces(self, path: str, body: Any) -> Iterator[Any]:
        """Yield the parts of a stream as they come; whoever leaves the loop hangs up."""
        connection, response = self.open(path, body)
        try:
            assert response.status == 200
            for line in response:
                if line.startswith(b"data: {"):
                    yield json.loads(line.removeprefix(b"data: "))
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """Return a metric, its labels left out, summed."""
        lines = self.ask("/metrics").body.decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def until(self, name: str, value: float) -> None:
        """Ask until a metric has a value."""
        end = time.monotonic() + PATIENCE
        while (found := self.metric(name)) != value:
            assert time.monotonic() < end, f"{name} stays {found}"


def begin(words: list[str], key: str) -> Iterator[Server]:
    """Start a server; at the end it stops in order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "textus", "serve", *words, "--port", "0", "--json", "--threads", "1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        host, _, port = said["url"].removeprefix("http://").rpartition(":")
        server = Server(process, host, int(port), key, said["engine"])
        yield server
        parts = server.pieces("/v1/completions", LAST)
        next(parts)
        process.terminate()
        *_, last = parts
        assert last["choices"][0]["finish_reason"] == "length", "what is under way is finished"
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The vocabulary of the tiny models."""
    return learnt()


@pytest.fixture(scope="session")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that writes, one that reads both ways, and an adapter of the first."""
    place = tmp_path_factory.mktemp("models")
    tiny = write(place / "tiny")
    return {
        "tiny": tiny,
        "both": write(place / "both", "bidirectional"),
        "poems": write_adapter(place / "poems", tiny),
    }


@pytest.fixture(scope="session")
def server(directories: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server: keys, a guard of rules, an audit log, and texts that are the same whoever is beside."""
    place = tmp_path_factory.mktemp("server")
    (place / "policy.toml").write_text(POLICY, "utf-8")
    (place / "keys").write_text(f"# who may ask\n{KEY} Ada\n", "utf-8")
    yield from begin(
        [
            *(str(directories[name]) for name in ("tiny", "both")),
            *("--adapter", f"{directories['poems']}@tiny"),
            *("--key-file", str(place / "keys"), "--policy", str(place / "policy.toml")),
            *("--audit", str(place / "audit"), "--set", "fixed_batch=8", "--set", "max_prefill_tokens=2048"),
        ],
        KEY,
    )
