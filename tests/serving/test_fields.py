"""The fields of requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.serving import fields
from textus.serving.refusal import Refusal

USER = [{"role": "user", "content": "hi"}]
ROUTES = {
    "completion": (fields.COMPLETION, {"model": "m", "prompt": "p"}),
    "chat": (fields.CHAT, {"model": "m", "messages": USER}),
    "embedding": (fields.EMBEDDING, {"model": "m", "input": "p"}),
    "moderation": (fields.MODERATION, {"input": "p"}),
    "tokenize": (fields.TOKENIZE, {"prompt": "p"}),
    "detokenize": (fields.DETOKENIZE, {"tokens": [1]}),
    "fill": (fields.FILL, {"model": "m", "text": "p"}),
}


def refused(route: str, **given: Any) -> Refusal:
    known, base = ROUTES[route]
    with pytest.raises(Refusal) as found:
        fields.read(known, {**base, **given})
    assert found.value.status == 400
    return found.value


@pytest.mark.parametrize("route", ROUTES)
def test_defaults_nulls_and_fields_that_change_nothing(route: str) -> None:
    known, base = ROUTES[route]
    nulls = {name: None for name in known if name not in base} | {"user": "u", "metadata": {}, "unknown": None}
    assert fields.read(known, base) == fields.read(known, {**base, **nulls})
    for name in (name for name, (_, default) in known.items() if default is ...):
        assert refused(route, **{name: None}).param == name


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["best_of", "suffix", "tools", "functions", "guided_json", "__class__", ""])
def test_every_other_field_is_refused_by_name(route: str, name: str) -> None:
    refusal = refused(route, **{name: 1})
    assert (refusal.param, refusal.code) == (name, "unsupported_parameter")


@pytest.mark.parametrize(
    ("route", "name", "value", "param"),
    [
        ("completion", "prompt", [], "prompt"),
        ("completion", "prompt", ["a", [1]], "prompt"),
        ("completion", "prompt", [[]], "prompt"),
        ("completion", "prompt", [-1], "prompt"),
        ("completion", "prompt", [True], "prompt"),
        ("completion", "prompt", {"a": 1}, "prompt"),
        ("completion", "temperature", 2.1, "temperature"),
        ("completion", "temperature", "1", "temperature"),
        ("completion", "top_p", -0.1, "top_p"),
        ("completion", "n", 0, "n"),
        ("completion", "n", 1.5, "n"),
        ("completion", "logprobs", 21, "logprobs"),
        ("completion", "logprobs", True, "logprobs"),
        ("completion", "stop", [""], "stop"),
        ("completion", "stop", ["x"] * 33, "stop"),
        ("completion", "logit_bias", {"a": 1}, "logit_bias"),
        ("completion", "logit_bias", {"1": 101}, "logit_bias"),
        ("completion", "logit_bias", {"1": True}, "logit_bias"),
        ("completion", "seed", 2**63, "seed"),
        ("completion", "stream", 1, "stream"),
        ("completion", "stream_options", {"x": 1}, "stream_options.x"),
        ("completion", "response_format", {"type": "xml"}, "response_format.type"),
        ("completion", "response_format", {"type": "json_schema"}, "response_format.json_schema.schema"),
        ("chat", "messages", [], "messages"),
        ("chat", "messages", ["hi"], "messages[0]"),
        ("chat", "messages", [{"role": "tool", "content": "x"}], "messages[0].role"),
        ("chat", "messages", [*USER, {"role": "assistant"}], "messages[1].content"),
        ("chat", "messages", [{**USER[0], "name": "x"}], "messages[0].name"),
        ("chat", "messages", [{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
        ("chat", "max_tokens", 0, "max_tokens"),
        ("chat", "top_logprobs", 21, "top_logprobs"),
        ("embedding", "encoding_format", "int8", "encoding_format"),
        ("moderation", "input", [1, 2], "input"),
        ("detokenize", "tokens", "a", "tokens"),
        ("fill", "top_k", 0, "top_k"),
    ],
)
def test_a_wrong_value_is_refused_by_name(route: str, name: str, value: Any, param: str) -> None:
    refusal = refused(route, **{name: value})
    assert refusal.param == param
    assert param in refusal.message
    assert len(refusal.message) < 600


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_comes_is_read_or_refused(value: Any) -> None:
    for known, base in ROUTES.values():
        for name in known:
            try:
                found = fields.read(known, {**base, name: value})
            except Refusal as refusal:
                assert refusal.param
                json.dumps(refusal.body)
            else:
                assert set(found) == set(known)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7"),
        (b"[" * 100_000, "too many brackets"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        fields.body(data)


def test_values_are_read_as_they_are_meant() -> None:
    known, base = ROUTES["completion"]
    given = {"stop": "x", "top_p": 0, "top_k": -1, "logit_bias": {"07": 2}, "response_format": {"type": "json_object"}}
    found = fields.read(known, {**base, **given, "stream_options": {"include_usage": True}, "temperature": 1})
    assert found["stop"] == ("x",) and 0 < found["top_p"] < 1e-6 and found["top_k"] == "off"
    assert found["logit_bias"] == ("7:2.0",) and found["response_format"] == {"type": "object"}
    assert found["stream_options"] is True and found["temperature"] == 1.0
    said = [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    assert fields.messages("messages", said) == [{"role": "system", "content": "ab"}]
