"""The server's description of itself, held against its parser, its routes, its answers, and a program that tries it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.routing import Route

from textus.serving import answers, app, fields, openapi
from textus.serving.config import Limits
from textus.serving.keys import Keys, Rates
from textus.serving.link import Link
from textus.serving.metrics import Metrics
from textus.serving.refusal import Refusal
from textus.serving.routes import Routes

from .conftest import unfit

USER = [{"role": "user", "content": "hi"}]
BASES: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": "m", "prompt": "p"},
    "/v1/chat/completions": {"model": "m", "messages": USER},
    "/v1/embeddings": {"model": "m", "input": "p"},
    "/v1/moderations": {"input": "p"},
    "/v1/fill": {"model": "m", "text": "p"},
    "/tokenize": {"prompt": "p"},
    "/detokenize": {"tokens": [1]},
}
FIELDS = [(path, name) for path, (_, known, _, _) in openapi.ASKED.items() for name in known]
KEYS = ["type", "text", "role", "content", "schema", "json_schema", "include_usage", "name", "7", "x"]
WORDS = ["text", "json_object", "json_schema", "user", "system", "assistant", "float", "auto", "output", "", "hi"]
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.sampled_from(WORDS), st.text(max_size=3)),
    st.integers(-2, 130) | st.sampled_from([2**31, -(2**63), 2**63]),
    st.floats(-3, 3).filter(lambda number: not number.is_integer()),  # 1.0 is a whole number to JSON schemas
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


@cache
def validator(path: str) -> Draft202012Validator:
    return Draft202012Validator(openapi.request(openapi.ASKED[path][1]))


def is_read(path: str, body: dict[str, Any]) -> bool:
    try:
        fields.read(openapi.ASKED[path][1], body)
    except Refusal:
        return False
    return True


@settings(max_examples=120)
@given(st.sampled_from(FIELDS), VALUES)
@example(("/v1/completions", "response_format"), {"type": "json_schema", "json_schema": {"schema": {}}})
@example(("/v1/completions", "stream_options"), {"include_usage": 0})
@example(("/v1/completions", "logit_bias"), {"7": 100, "8": -100.5})
@example(("/v1/completions", "unknown"), None)
@example(("/v1/completions", "unknown"), 0)
@example(("/v1/completions", "user"), [1])
@example(("/v1/chat/completions", "messages"), [{"role": "user", "content": [{"type": "text", "text": "a"}], "x": []}])
@example(("/v1/completions", "prompt"), ["a", [1]])
def test_a_request_fits_its_schema_exactly_if_it_is_read(field: tuple[str, str], value: Any) -> None:
    path, name = field
    body = {**BASES[path], name: value}
    assert validator(path).is_valid(body) == is_read(path, body), body


def test_every_route_is_described_and_nothing_else() -> None:
    found = openapi.document(("tiny",))
    limits = Limits()
    layers: Any = app.application(Routes(Link((), {}), limits, Rates(limits), Metrics(), 0), Keys(), ())
    routes = [route for route in layers._inner.routes if isinstance(route, Route)]
    there = {(route.path.replace(":path", ""), method.lower()) for route in routes for method in route.methods or ()}
    described = {(path, method) for path, kinds in found["paths"].items() for method in kinds}
    assert described == {one for one in there if one[1] != "head"}
    assert set(BASES) == set(openapi.ASKED) and set(answers.SCHEMAS) >= {one[2] for one in openapi.ASKED.values()}
    for schema in answers.SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    for kinds in found["paths"].values():
        for operation in kinds.values():
            if "requestBody" in operation:
                Draft202012Validator.check_schema(operation["requestBody"]["content"]["application/json"]["schema"])


def test_the_server_tells_its_own_description(server: Any) -> None:
    assert server.ask("/openapi.json").json == openapi.document(("tiny", "both", "poems"))
    assert server.ask("/openapi.json", headers={}).status == 401


def test_an_answer_that_does_not_fit_is_seen(server: Any) -> None:
    good = server.ask("/v1/models").json
    assert not unfit("Models", good)
    assert unfit("Models", {**good, "more": 1}) and unfit("Models", {"object": "list"})


@pytest.mark.slow
def test_schemathesis_finds_nothing(server: Any, tmp_path: Path) -> None:
    """It makes requests from the description, right and wrong ones, and holds every answer against it."""
    command = shutil.which(os.environ.get("SCHEMATHESIS", "schemathesis"))
    if command is None:
        pytest.skip("no schemathesis here: pip install schemathesis, or name its command in SCHEMATHESIS")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    words = [command, "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {server.key}"]
    words += ["--checks", f"{checks},negative_data_rejection,unsupported_method", "--seed", "1", "--workers", "1"]
    words += ["--max-examples", "15", "--no-color"]
    found = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
