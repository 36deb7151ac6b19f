"""The fields of requests: what each may hold; every other field is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from textus import config as settings
from textus.config import Count, Fraction, Natural, Positive, Range
from textus.errors import ConfigError
from textus.serving.refusal import Refusal

IGNORED = frozenset(("user", "metadata", "store", "service_tier", "safety_identifier"))
"""Fields that change nothing about an answer, and may be there."""
_SHOWN = 200
"""Characters of a wrong value that its error repeats."""
MOST_STOPS, LONGEST_STOP = 32, 1024
MOST_INPUTS = 2048
MOST_BIASES = 1024
Kind = Any
Read = Callable[[str, Any], Any]


def body(data: bytes) -> dict[str, Any]:
    """Read a request's body, or say what is wrong with it."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the request is not UTF-8: byte {error.start}", code="invalid_utf8") from None
    except RecursionError:
        raise Refusal(400, "the request is not valid JSON: too many brackets", code="invalid_json") from None
    except ValueError as error:
        raise Refusal(400, f"the request is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the request is not a JSON object", code="invalid_json")
    return value


def read(known: Mapping[str, tuple[Kind | Read, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every known field: what was given, or its default; null is as if it were not there.

    A field is known by its type, or by a function that reads it, and its default; `...` is none.
    """
    for name, value in given.items():
        if name not in known and name not in IGNORED and value is not None:
            raise Refusal(400, f"`{name}` is not supported here", param=name, code="unsupported_parameter")
    found = {}
    for name, (kind, default) in known.items():
        value = given.get(name)
        if value is None:
            if default is ...:
                raise Refusal(400, f"`{name}` is missing", param=name, code="missing_required_parameter")
            found[name] = default
        elif isinstance(kind, FunctionType):
            found[name] = kind(name, value)
        else:
            found[name] = _checked(kind, name, value)
    return found


def wrong(name: str, wanted: str, value: Any) -> Refusal:
    """Refuse the value of a field."""
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return Refusal(400, f"`{name}` must be {wanted}; got {shown}", param=name, code="invalid_value")


def _checked(kind: Kind, name: str, value: Any) -> Any:
    try:
        return settings.check(kind, value, name, "request")
    except ConfigError:
        raise wrong(name, settings.words(kind), value) from None


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int and 0 <= one < 2**31 for one in value)


def texts(name: str, value: Any) -> list[str | list[int]]:
    """Read one text or several, each as a string or as tokens."""
    if isinstance(value, str) or _is_ids(value):
        return [value]
    several = isinstance(value, list) and 0 < len(value) <= MOST_INPUTS
    if several and (all(isinstance(one, str) for one in value) or all(map(_is_ids, value))):
        return list(value)
    raise wrong(name, f"a text, a list of tokens, or a list of at most {MOST_INPUTS} of either", value)


def words(name: str, value: Any) -> list[str]:
    """Read one text or several, no tokens."""
    found = texts(name, value)
    if not all(isinstance(one, str) for one in found):
        raise wrong(name, "a text or a list of texts", value)
    return [str(one) for one in found]


def ids(name: str, value: Any) -> list[int]:
    """Read tokens."""
    if not _is_ids(value):
        raise wrong(name, "a list of tokens", value)
    return list(value)


def stops(name: str, value: Any) -> tuple[str, ...]:
    """Read one stop string or several."""
    found = [value] if isinstance(value, str) else value
    fits = isinstance(found, list) and len(found) <= MOST_STOPS
    if not fits or not all(isinstance(one, str) and 0 < len(one) <= LONGEST_STOP for one in found):
        raise wrong(
            name, f"a text or at most {MOST_STOPS} of them, none empty or over {LONGEST_STOP} characters", value
        )
    return tuple(found)


def biases(name: str, value: Any) -> tuple[str, ...]:
    """Read what is added to the logits of tokens."""
    fits = isinstance(value, dict) and len(value) <= MOST_BIASES
    for token, bias in value.items() if fits else ():
        number = isinstance(bias, int | float) and not isinstance(bias, bool) and -100 <= bias <= 100
        fits = fits and token.isascii() and token.isdecimal() and len(token) < 10 and number
    if not fits:
        raise wrong(name, f"an object of at most {MOST_BIASES} tokens, each with a number in [-100, 100]", value)
    return tuple(f"{int(token)}:{float(bias)}" for token, bias in value.items())


def top_k(name: str, value: Any) -> int | Literal["off"]:
    """Read from how many tokens is drawn; 0 and -1 are from all, as vLLM has it."""
    if type(value) is not int or value < -1:
        raise wrong(name, "a whole number from -1", value)
    return value if value > 0 else "off"


def top_p(name: str, value: Any) -> float:
    """Read from what share of probability is drawn; with 0 it is the likeliest token alone."""
    return max(1e-9, float(_checked(Fraction, name, value)))


def stream_options(name: str, value: Any) -> bool:
    """Tell whether a stream ends with its usage."""
    if not isinstance(value, dict):
        raise wrong(name, "an object", value)
    for key in value:
        if key != "include_usage":
            raise Refusal(
                400, f"`{name}.{key}` is not supported here", param=f"{name}.{key}", code="unsupported_parameter"
            )
    wanted = value.get("include_usage")
    return wanted is not None and bool(_checked(bool, f"{name}.include_usage", wanted))


def response_format(name: str, value: Any) -> dict[str, Any] | None:
    """Return the JSON schema that a text must follow, or none."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema":
        raise wrong(f"{name}.type" if isinstance(value, dict) else name, '"text", "json_object" or "json_schema"', kind)
    described = value.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        raise wrong(f"{name}.json_schema.schema", "a JSON schema", schema)
    return schema


def messages(name: str, value: Any) -> list[dict[str, str]]:
    """Read a conversation; what a developer says counts as the system's."""
    if not isinstance(value, list) or not value:
        raise wrong(name, "a list of messages", value)
    return [_message(f"{name}[{place}]", one) for place, one in enumerate(value)]


def _message(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong(name, "an object with `role` and `content`", value)
    for key, inner in value.items():
        if key not in ("role", "content") and inner not in (None, [], {}):
            raise Refusal(
                400, f"`{name}.{key}` is not supported here", param=f"{name}.{key}", code="unsupported_parameter"
            )
    role = value.get("role")
    if role not in ("system", "developer", "user", "assistant"):
        raise wrong(f"{name}.role", '"system", "developer", "user" or "assistant"', role)
    return {
        "role": "system" if role == "developer" else role,
        "content": _content(f"{name}.content", value.get("content")),
    }


def _content(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise wrong(name, "a text or a list of texts", value)
    for place, part in enumerate(value):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text":
            raise Refusal(
                400,
                f'`{name}[{place}].type` must be "text"; this model reads nothing else',
                param=f"{name}[{place}].type",
                code="unsupported_value",
            )
        if not isinstance(part.get("text"), str):
            raise wrong(f"{name}[{place}].text", "a text", part.get("text"))
    return "".join(part["text"] for part in value)


FunctionType = type(texts)
Seed = Annotated[int, Range(-(2**63), 2**63 - 1)]
Penalty = Annotated[float, Range(-2, 2)]
SAMPLING: dict[str, tuple[Any, Any]] = {
    "temperature": (Annotated[float, Range(0, 2)], None),
    "top_p": (top_p, None),
    "presence_penalty": (Penalty, None),
    "frequency_penalty": (Penalty, None),
    "logit_bias": (biases, None),
    "stop": (stops, None),
    "seed": (Seed, None),
    "top_k": (top_k, None),
    "min_p": (Fraction, None),
    "repetition_penalty": (Positive, None),
    "min_tokens": (Natural, None),
}
"""How a text is written; what is not given is the model's own. The last four are vLLM's fields, not OpenAI's."""
_WRITING: dict[str, tuple[Any, Any]] = {
    "model": (str, ...),
    **SAMPLING,
    "n": (Annotated[int, Range(1, 128)], 1),
    "stream": (bool, False),
    "stream_options": (stream_options, False),
    "response_format": (response_format, None),
}
COMPLETION: dict[str, tuple[Any, Any]] = {
    **_WRITING,
    "prompt": (texts, ...),
    "max_tokens": (Natural, 16),
    "echo": (bool, False),
    "logprobs": (Annotated[int, Range(0, 20)], None),
}
CHAT: dict[str, tuple[Any, Any]] = {
    **_WRITING,
    "messages": (messages, ...),
    "max_tokens": (Count, None),
    "max_completion_tokens": (Count, None),
    "logprobs": (bool, False),
    "top_logprobs": (Annotated[int, Range(0, 20)], None),
    "truncation": (Literal["auto", "disabled"], "disabled"),
}
EMBEDDING: dict[str, tuple[Any, Any]] = {
    "model": (str, ...),
    "input": (texts, ...),
    "encoding_format": (Literal["float", "base64"], "float"),
    "dimensions": (Count, None),
}
MODERATION: dict[str, tuple[Any, Any]] = {
    "model": (str, ""),
    "input": (words, ...),
    "side": (Literal["input", "output"], "input"),
}
TOKENIZE: dict[str, tuple[Any, Any]] = {
    "model": (str, ""),
    "prompt": (str, None),
    "messages": (messages, None),
    "add_special_tokens": (bool, True),
    "return_token_strs": (bool, False),
}
DETOKENIZE: dict[str, tuple[Any, Any]] = {"model": (str, ""), "tokens": (ids, ...)}
FILL: dict[str, tuple[Any, Any]] = {
    "model": (str, ...),
    "text": (str, ...),
    "top_k": (Annotated[int, Range(1, 100)], 5),
}
