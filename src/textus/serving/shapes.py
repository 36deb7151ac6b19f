"""The answers in the shapes of OpenAI's API."""

from __future__ import annotations

import base64
import dataclasses
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Told = Sequence[Any]
"""A token as the engine tells of it: its bytes as characters, its log-probability, its alternatives, its place."""


@dataclasses.dataclass
class Choice:
    """One text as far as it has come."""

    text: str = ""
    told: list[Told] = dataclasses.field(default_factory=list)
    finish: str = ""

    def add(self, piece: Choice) -> None:
        """Take what has come since."""
        self.text += piece.text
        self.told += piece.told
        self.finish = piece.finish or self.finish


@dataclasses.dataclass(frozen=True)
class Shape:
    """What all parts of one answer have in common."""

    id: str
    created: int
    model: str
    is_chat: bool
    tells: bool
    """Whether tokens are told of."""
    top: int
    """How many alternatives of each."""

    def whole(self, choices: Sequence[Choice], usage: Mapping[str, int], left_out: int) -> dict[str, Any]:
        """Return an answer in one piece."""
        kind = "chat.completion" if self.is_chat else "text_completion"
        return {
            **self._head(kind),
            "choices": [self._choice(index, choice) for index, choice in enumerate(choices)],
            "usage": usage,
            **({"left_out": left_out} if left_out else {}),
        }

    def parts(self, index: int, piece: Choice, begins: bool) -> Iterator[dict[str, Any]]:
        """Yield what is sent of a piece of one text; in a conversation its beginning and its end stand alone."""
        if not self.is_chat:
            yield self._part(index, piece, {"text": piece.text})
            return
        if begins:
            yield self._part(index, Choice(), {"delta": {"role": "assistant", "content": ""}})
        if piece.text or piece.told:
            yield self._part(index, Choice(told=piece.told), {"delta": {"content": piece.text}})
        if piece.finish:
            yield self._part(index, Choice(finish=piece.finish), {"delta": {}})

    def usage(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """Return the last piece of a stream, if it was asked for."""
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": [], "usage": usage}

    def _part(self, index: int, piece: Choice, words: Mapping[str, Any]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        told = {"logprobs": self._logprobs(piece.told), "finish_reason": piece.finish or None}
        return {**self._head(kind), "choices": [{"index": index, **words, **told}]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _choice(self, index: int, choice: Choice) -> dict[str, Any]:
        made = {"index": index, "logprobs": self._logprobs(choice.told), "finish_reason": choice.finish}
        if self.is_chat:
            return {**made, "message": {"role": "assistant", "content": choice.text, "refusal": None}}
        return {**made, "text": choice.text}

    def _logprobs(self, told: Sequence[Told]) -> dict[str, Any] | None:
        if not self.tells:
            return None
        return chat_logprobs(told) if self.is_chat else completion_logprobs(told)


def chat_logprobs(told: Sequence[Told]) -> dict[str, Any]:
    """Return what is told about tokens in the shape of the chat route."""
    return {
        "content": [
            {**_token(token, logprob), "top_logprobs": [_token(*one) for one in alternatives]}
            for token, logprob, alternatives, _ in told
        ],
        "refusal": None,
    }


def completion_logprobs(told: Sequence[Told]) -> dict[str, Any]:
    """Return what is told about tokens in the shape of the completions route.

    The chosen token is always among the alternatives, with the very same number.
    """
    return {
        "tokens": [name(token) for token, *_ in told],
        "token_logprobs": [logprob for _, logprob, *_ in told],
        "top_logprobs": [
            None if logprob is None else {name(other): value for other, value in alternatives} | {name(token): logprob}
            for token, logprob, alternatives, _ in told
        ],
        "text_offset": [start for *_, start in told],
    }


def name(token: str) -> str:
    r"""Return a token as text; one that ends inside a character is named by its bytes, so that no two are alike.

    >>> name(" caf\xc3\xa9"), name("\xc3")
    (' café', 'bytes:\\xc3')
    """
    data = token.encode("latin-1")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": name(token), "logprob": logprob, "bytes": list(token.encode("latin-1"))}


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Count what was read and written."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def embeddings(model: str, vectors: Sequence[str], tokens: int, encoding: str) -> dict[str, Any]:
    """Return vectors, which come as the base64 of their numbers."""
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": vector if encoding == "base64" else _floats(vector)}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _floats(vector: str) -> list[float]:
    data = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def moderation(id: str, model: str, verdicts: Sequence[Mapping[str, Any]], harms: Sequence[str]) -> dict[str, Any]:
    """Return verdicts in the shape of the moderation route; `textus` holds what that has no place for."""
    return {"id": id, "model": model, "results": [_result(verdict, harms) for verdict in verdicts]}


def _result(verdict: Mapping[str, Any], harms: Sequence[str]) -> dict[str, Any]:
    return {
        "flagged": bool(verdict["categories"]),
        "categories": {harm: harm in verdict["categories"] for harm in harms},
        "category_scores": {harm: float(verdict["scores"].get(harm, 0.0)) for harm in harms},
        "category_applied_input_types": {harm: ["text"] for harm in harms},
        "textus": verdict,
    }
