"""What a request asks of the engine's process, made ready beside the thread that writes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from textus.decoding.config import SamplingConfig
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Ending
from textus.errors import TextusError
from textus.safety.taxonomy import HARMS
from textus.serving.gate import Gate
from textus.serving.refusal import Refusal, in_words
from textus.serving.served import Prompt, Served, Told, grammar_of, numbers, sampling_of, writer
from textus.tokenizer.tokenizer import well_formed

Made = TypeVar("Made")


@dataclass(frozen=True)
class Writing:
    """Texts to be written, ready to go to the engine."""

    served: Served
    prompts: list[Prompt]
    config: SamplingConfig
    strategy: Strategy
    ending: Ending
    n: int
    top: int
    """How many alternatives are told of; -1 where nothing is told of any token."""
    echo: bool
    likelihoods: list[list[Told]]
    """Of each prompt, where it is echoed and its tokens are told of."""
    max_tokens: int
    left_out: int
    who: str

    @property
    def prompt_tokens(self) -> int:
        """How many tokens all prompts have."""
        return sum(len(prompt.tokens) for prompt in self.prompts)


class Desk:
    """Make requests ready, and answer those that need no engine."""

    def __init__(self, models: Mapping[str, Served], gate: Gate) -> None:
        self._models, self._gate = models, gate
        self._answers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "embed": self._embed,
            "moderate": self._moderate,
            "tokenize": self._tokenize,
            "detokenize": self._detokenize,
            "fill": self._fill,
        }

    def answer(self, job: Mapping[str, Any]) -> Any:
        """Answer a request at once, or raise `Refusal`."""
        return self._answers[job["op"]](job)

    def writing(self, job: Mapping[str, Any]) -> Writing:
        """Make a request for texts ready, or raise `Refusal`."""
        served = self._models[job["model"]]
        writer(served)
        config = _of("sampling", lambda: sampling_of(served.sampling, job["sampling"]))
        top, max_tokens = job["top"], job["max_tokens"]
        prompts, left_out = self._prompts(served, job, max_tokens)
        strategy = _of(
            "response_format" if job["schema"] is not None else "logit_bias",
            lambda: served.way(config, grammar_of(job["schema"])),
        )
        likelihoods = [served.likelihoods(one.tokens, top) for one in prompts] if job["echo"] and top >= 0 else []
        return Writing(
            served,
            prompts,
            config,
            strategy,
            served.ending(config, max(1, max_tokens)),
            job["n"],
            top,
            job["echo"],
            likelihoods,
            max_tokens,
            left_out,
            job["who"],
        )

    def _prompts(self, served: Served, job: Mapping[str, Any], max_tokens: int) -> tuple[list[Prompt], int]:
        facts = _facts(job)
        if job["messages"] is not None:
            said = [
                {**one, "content": self._gate.admit(well_formed(one["content"]), f"messages[{place}].content", facts)}
                for place, one in enumerate(job["messages"])
            ]
            prompt, left_out = _of("messages", lambda: served.turns(said, job["shorten"], max_tokens))
            return [prompt], left_out
        found = []
        for given in job["prompts"]:
            prompt = _of("prompt", partial(served.prompt, _clean(given)))
            passed = self._gate.admit(prompt.text, "prompt", facts)
            # what the guard has not changed is read in the tokens in which it came
            found.append(prompt if passed == prompt.text else _of("prompt", partial(served.prompt, passed)))
        return found, 0

    def _embed(self, job: Mapping[str, Any]) -> Any:
        served = self._models[job["model"]]
        texts = [self._gate.admit(self._text(served, given, "input"), "input", _facts(job)) for given in job["texts"]]
        rows = _of("input", lambda: served.embed(texts, job["dimensions"] or "all"))
        tokens = sum(len(served.opened.tokenizer.encode(text)) for text in texts)
        return {"vectors": [_base64(row) for row in numbers(rows)], "tokens": tokens}

    def _moderate(self, job: Mapping[str, Any]) -> Any:
        guard = self._gate.guard
        if guard is None:
            raise Refusal(404, "no guard is served here: start with --guard or --policy", code="model_not_found")
        found = []
        for given in job["texts"]:
            text = well_formed(given)
            verdict = guard.check(text, job["side"])
            self._gate.log(verdict, text, _facts(job))
            found.append(verdict.as_dict())
        return {"verdicts": found, "harms": list(HARMS), "learnt": guard.classifier is not None}

    def _tokenize(self, job: Mapping[str, Any]) -> Any:
        served = self._models[job["model"]]
        tokenizer = served.opened.tokenizer
        if job["messages"] is not None:
            said = [{**one, "content": well_formed(one["content"])} for one in job["messages"]]
            tokens = _of("messages", lambda: served.turns(said, False, 1))[0].tokens
        else:
            plain = tokenizer.encode(well_formed(job["prompt"]))
            tokens = tokenizer.frame(plain) if job["frame"] else plain
        return {
            "tokens": tokens,
            "count": len(tokens),
            "max_model_len": served.opened.config.context_length,
            "token_strs": [tokenizer.token_bytes(token).decode("utf-8", "replace") for token in tokens],
        }

    def _detokenize(self, job: Mapping[str, Any]) -> Any:
        text = self._text(self._models[job["model"]], job["tokens"], "tokens")
        return {"prompt": self._gate.admit(text, "tokens", _facts(job), "output")}

    def _fill(self, job: Mapping[str, Any]) -> Any:
        served = self._models[job["model"]]
        text = self._gate.admit(well_formed(job["text"]), "text", _facts(job))
        filled = _of("text", lambda: served.fill(text, job["top_k"]))
        # with every candidate in its place once, so that none is told of that the guard would not let out
        self._gate.admit(filled.text, "text", _facts(job), "output")
        kept = [[one.as_dict() for one in blank if self._passes(one.token)] for blank in filled.blanks]
        return {"text": filled.text, "masks": kept}

    def _passes(self, text: str) -> bool:
        guard = self._gate.guard
        return guard is None or guard.check(text, "output").text == text

    def _text(self, served: Served, given: str | Sequence[int], param: str) -> str:
        if isinstance(given, str):
            return well_formed(given)
        return _of(param, lambda: served.opened.tokenizer.decode(given))


def _of(param: str, make: Callable[[], Made]) -> Made:
    """Make a value of what a request says; what is wrong with it names the field."""
    try:
        return make()
    except TextusError as error:
        said = error.message.partition(":")[0].strip("`")
        code = "context_length_exceeded" if "the model reads at most" in error.message else "invalid_value"
        raise Refusal(400, in_words(error), param=said if said in _NAMED else param, code=code) from None


_NAMED = ("logit_bias", "stop", "top_k", "top_p", "min_p", "repetition_penalty", "min_tokens")
"""Fields that errors about them begin with."""


def _clean(given: str | list[int]) -> str | list[int]:
    return well_formed(given) if isinstance(given, str) else given


def _facts(job: Mapping[str, Any]) -> dict[str, Any]:
    return {"request": job["request"], "who": job["who"], "route": job["route"]}


def _base64(row: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode("ascii")
