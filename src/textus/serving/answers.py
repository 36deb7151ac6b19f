"""What each answer looks like, as JSON schemas: OpenAI's shapes, closed, and what is ours beside them."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NULL: Schema = {"type": "null"}
ANY: Schema = {"type": "object"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
FINISH: Schema = {"enum": ["stop", "length", "content_filter"]}


def _object(**properties: Schema) -> Schema:
    """Describe an object that has these and nothing else; what ends in `_if_any` may be missing."""
    optional = "_if_any"
    return {
        "type": "object",
        "properties": {name.removesuffix(optional): schema for name, schema in properties.items()},
        "required": [name for name in properties if not name.endswith(optional)],
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, NULL]}


def _each(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


_USAGE = _object(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT)
_LIKELY = {"token": TEXT, "logprob": NUMBER, "bytes": _list({"type": "integer", "minimum": 0, "maximum": 255})}
_CHAT_LOGPROBS = _or_null(
    _object(content=_list(_object(**_LIKELY, top_logprobs=_list(_object(**_LIKELY)))), refusal=NULL)
)
_LOGPROBS = _or_null(
    _object(
        tokens=_list(TEXT),
        token_logprobs=_list(_or_null(NUMBER)),
        top_logprobs=_list(_or_null(_each(NUMBER))),
        text_offset=_list(COUNT),
    )
)
_MESSAGE = _object(role={"const": "assistant"}, content=TEXT, refusal=NULL)
_DELTA = _object(role_if_any={"const": "assistant"}, content_if_any=TEXT)


def _head(kind: str) -> dict[str, Schema]:
    return {"id": TEXT, "object": {"const": kind}, "created": COUNT, "model": TEXT}


def _part(kind: str, choice: Schema) -> Schema:
    choices = {"type": "array", "maxItems": 1, "items": choice}
    return _object(**_head(kind), choices=choices, usage_if_any=_or_null(_USAGE))


_MODEL = _object(
    id=TEXT,
    object={"const": "model"},
    created=COUNT,
    owned_by=TEXT,
    max_model_len=COUNT,
    textus=_object(
        context_length=COUNT,
        writes=FLAG,
        fills=FLAG,
        mask=TEXT,
        dimensions=COUNT,
        max_tokens=COUNT,
        sampling=_list({}),
        has_template=FLAG,
    ),
)
SCHEMAS: dict[str, Schema] = {
    "Completion": _object(
        **_head("text_completion"),
        choices=_list(_object(index=COUNT, text=TEXT, logprobs=_LOGPROBS, finish_reason=FINISH)),
        usage=_USAGE,
    ),
    "CompletionPart": _part(
        "text_completion", _object(index=COUNT, text=TEXT, logprobs=_LOGPROBS, finish_reason=_or_null(FINISH))
    ),
    "ChatCompletion": _object(
        **_head("chat.completion"),
        choices=_list(_object(index=COUNT, message=_MESSAGE, logprobs=_CHAT_LOGPROBS, finish_reason=FINISH)),
        usage=_USAGE,
        left_out_if_any=COUNT,
    ),
    "ChatCompletionPart": _part(
        "chat.completion.chunk",
        _object(index=COUNT, delta=_DELTA, logprobs=_CHAT_LOGPROBS, finish_reason=_or_null(FINISH)),
    ),
    "Embeddings": _object(
        object={"const": "list"},
        model=TEXT,
        data=_list(
            _object(object={"const": "embedding"}, index=COUNT, embedding={"anyOf": [_list(NUMBER), TEXT]}),
        ),
        usage=_object(prompt_tokens=COUNT, total_tokens=COUNT),
    ),
    "Moderation": _object(
        id=TEXT,
        model=TEXT,
        results=_list(
            _object(
                flagged=FLAG,
                categories=_each(FLAG),
                category_scores=_each(SHARE),
                category_applied_input_types=_each(_list({"const": "text"})),
                textus=ANY,
            )
        ),
    ),
    "Models": _object(object={"const": "list"}, data=_list(_MODEL)),
    "Model": _MODEL,
    "Tokens": _object(tokens=_list(COUNT), count=COUNT, max_model_len=COUNT, token_strs=_or_null(_list(TEXT))),
    "Text": _object(prompt=TEXT),
    "Filled": _object(
        object={"const": "fill"},
        model=TEXT,
        text=TEXT,
        masks=_list(_list(_object(token=TEXT, probability=SHARE))),
    ),
    "Error": _object(error=_object(message=TEXT, type=TEXT, param=_or_null(TEXT), code=_or_null(TEXT))),
}
