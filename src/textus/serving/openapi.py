"""The server's own description, in OpenAPI 3.1: requests from the tables by which they are read, answers by hand.

A test holds that a request fits its schema exactly if the parser takes it; another that every answer fits its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from textus.config import Range
from textus.serving import answers, fields
from textus.version import __version__

Schema = dict[str, Any]
VERSION = "3.1.0"
EVENTS = "x-events"
"""Beside the schema of a stream, where that of its events is named: OpenAPI has no word for it before 3.2."""
_IDS: Schema = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}}
_SEVERAL: Schema = {"type": "array", "minItems": 1, "maxItems": fields.MOST_INPUTS}
_STOP: Schema = {"type": "string", "minLength": 1, "maxLength": fields.LONGEST_STOP}
_PART: Schema = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
    "required": ["type", "text"],
}
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant"]},
        "content": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": _PART}]},
    },
    "required": ["role", "content"],
    "additionalProperties": {"enum": [None, [], {}]},
}
_FORMAT: Schema = {"type": "object", "properties": {"schema": {"type": "object"}}, "required": ["schema"]}
READERS: Mapping[Callable[[str, Any], Any], Schema] = {
    fields.texts: {
        "anyOf": [
            {"type": "string"},
            _IDS,
            {**_SEVERAL, "items": {"type": "string"}},
            {**_SEVERAL, "items": _IDS},
        ]
    },
    fields.words: {"anyOf": [{"type": "string"}, {**_SEVERAL, "items": {"type": "string"}}]},
    fields.ids: _IDS,
    fields.stops: {"anyOf": [_STOP, {"type": "array", "maxItems": fields.MOST_STOPS, "items": _STOP}]},
    fields.biases: {
        "type": "object",
        "maxProperties": fields.MOST_BIASES,
        "propertyNames": {"pattern": "^[0-9]{1,9}$"},
        "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
    },
    fields.top_k: {"type": "integer", "minimum": -1},
    fields.top_p: {"type": "number", "minimum": 0, "maximum": 1},
    fields.stream_options: {
        "type": "object",
        "properties": {"include_usage": {"type": ["boolean", "null"]}},
        "additionalProperties": False,
    },
    fields.response_format: {
        "type": "object",
        "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}},
        "required": ["type"],
        "if": {"properties": {"type": {"const": "json_schema"}}},
        "then": {"properties": {"json_schema": _FORMAT}, "required": ["json_schema"]},
    },
    fields.messages: {"type": "array", "minItems": 1, "items": _MESSAGE},
}
"""What the functions take that read a field."""
ASKED: Mapping[str, tuple[str, Mapping[str, tuple[Any, Any]], str, str]] = {
    "/v1/completions": ("Continue prompts.", fields.COMPLETION, "Completion", "CompletionPart"),
    "/v1/chat/completions": ("Answer in a conversation.", fields.CHAT, "ChatCompletion", "ChatCompletionPart"),
    "/v1/embeddings": ("Turn texts into vectors.", fields.EMBEDDING, "Embeddings", ""),
    "/v1/moderations": ("Judge texts.", fields.MODERATION, "Moderation", ""),
    "/v1/fill": ("Fill the blanks in a text, each written <mask>.", fields.FILL, "Filled", ""),
    "/tokenize": ("Return the tokens of `prompt` or of `messages`.", fields.TOKENIZE, "Tokens", ""),
    "/detokenize": ("Return the text of tokens.", fields.DETOKENIZE, "Text", ""),
}
"""What is asked with a body: what it does, its fields, its answer, and the events of its stream."""
TOLD: Mapping[str, tuple[str, str]] = {
    "/v1/models": ("List the models.", "Models"),
    "/v1/models/{name}": ("Tell of one model.", "Model"),
    "/openapi.json": ("Return this document.", ""),
    "/metrics": ("Return the metrics in Prometheus' format.", "text/plain"),
    "/livez": ("Say that the server runs.", "text/plain"),
    "/readyz": ("Say whether requests are taken.", "text/plain"),
    "/": ("Return the page to talk to the model.", "text/html"),
}
"""What is asked without: what it does, and its answer or the type of that."""
OPEN = ("/livez", "/readyz", "/")
"""What needs no key: health, and the page, which holds nothing but itself."""
_REFUSED = {
    "400": "the request is wrong, or the guard lets it not pass",
    "401": "no key, or none that is known here",
    "403": "the server does not answer to this name",
    "404": "no such route or model",
    "408": "the request came too slowly",
    "413": "the request is too large",
    "415": "the request is no application/json",
    "429": "too much was asked for with this key: come again",
    "500": "a fault of the server",
    "503": "too much is under way, or the engine is being started: come again",
    "504": "the answer took too long",
}


def document(models: Sequence[str] = ()) -> Schema:
    """Return the description of a server that has these models."""
    paths: Schema = {}
    for path, (words, known, answer, events) in ASKED.items():
        # clients name OpenAI's own models where they want a text judged: the guard here has no name
        schema = request(known, models if path != "/v1/moderations" else ())
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        content: Schema = {"application/json": {"schema": _named(answer)}}
        if events:
            content["text/event-stream"] = {"schema": {"type": "string"}, EVENTS: _named(events)}
        paths[path] = {"post": {**_operation(path, words, content), "requestBody": body}}
    for path, (words, answer) in TOLD.items():
        content = {answer: {"schema": {"type": "string"}}} if "/" in answer else _json(answer)
        paths[path] = {"get": _operation(path, words, content)}
    name = {"name": "name", "in": "path", "required": True, "schema": _one_of(models)}
    paths["/v1/models/{name}"]["get"]["parameters"] = [name]
    return {
        "openapi": VERSION,
        "info": {"title": "textus", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": answers.SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def request(known: Mapping[str, tuple[Any, Any]], models: Sequence[str] = ()) -> Schema:
    """Return the schema of a body; null is as if a field were not there, so it may stand for every one that is not
    required, and for any other name.
    """
    properties: Schema = {}
    for name, (kind, default) in known.items():
        schema = of_kind(kind)
        if name == "model" and models:
            schema = _one_of(models) if default is ... else _one_of((*models, ""))
        properties[name] = schema if default is ... else {"anyOf": [schema, {"type": "null"}]}
        if default is not ... and default is not None:
            properties[name]["default"] = default
    return {
        "type": "object",
        "properties": {**properties, **{name: {} for name in sorted(fields.IGNORED)}},
        "required": [name for name, (_, default) in known.items() if default is ...],
        "additionalProperties": {"type": "null"},
    }


def of_kind(kind: Any) -> Schema:
    """Return the schema of what a field takes: a type of `textus.config`, or a function that reads it."""
    if kind in READERS:
        return dict(READERS[kind])
    if get_origin(kind) is Annotated:
        inner, *bounds = get_args(kind)
        return of_kind(inner) | {name: value for bound in bounds for name, value in _bounds(bound).items()}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    return {"type": {bool: "boolean", int: "integer", float: "number", str: "string"}[kind]}


def _bounds(bound: Range) -> Schema:
    low, high = ("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")
    ends = ((bound.low, low[not bound.open_low]), (bound.high, high[not bound.open_high]))
    return {name: value for value, name in ends if abs(value) != float("inf")}


def _operation(path: str, words: str, content: Schema) -> Schema:
    responses: Schema = {"200": {"description": "what was asked for", "content": content}}
    for status, why in _REFUSED.items():
        responses[status] = {"description": why, "content": _json("Error")}
    secured: Schema = {} if path in OPEN else {"security": [{"key": []}]}
    return {"summary": words, "responses": responses, **secured}


def _json(name: str) -> Schema:
    return {"application/json": {"schema": _named(name) if name else {"type": "object"}}}


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_of(names: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(names)} if names else {"type": "string"}
