"""Let a model write only what a JSON schema, a regular expression or a grammar allows (llguidance, extra `constrain`).

The mask of what may follow is a function of what was written, as every processor is; the parser's state for it is kept
from one step to the next, and made anew where a step looks at another text.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from textus.config import Natural, Settings
from textus.decoding.history import History
from textus.errors import ConfigError
from textus.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer


@dataclasses.dataclass(frozen=True)
class Grammar(Settings):
    """Say what may be written."""

    kind: Literal["json", "regex", "lark"]
    """`json`: values that a JSON schema allows; `regex`: what a whole regular expression matches; `lark`: a grammar."""
    source: str
    """The schema, the expression, or the grammar in Lark's notation."""
    whitespace: Natural = 0
    """In JSON: how many spaces and line breaks in a row are allowed outside strings. Small models never stop else."""


@dataclasses.dataclass(frozen=True)
class Constrained:
    """Forbid every token with which the text could not become a sentence of the grammar; allow END where it is one.

    Raises `ConfigError` for a grammar that is none, and where llguidance is not installed.
    """

    grammar: Grammar
    tokenizer: Tokenizer = dataclasses.field(repr=False, compare=False)
    _begin: LLMatcher = dataclasses.field(init=False, repr=False, compare=False)
    _states: dict[tuple[int, ...], LLMatcher] = dataclasses.field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_begin", _matcher(self.grammar, self.tokenizer))

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Forbid what the grammar does not allow."""
        known = dict(self._states)
        self._states.clear()
        allowed = []
        for row in range(len(logits)):
            written = tuple(history.row(row)[1])
            known[written] = self._states[written] = matcher = self._state(known, written)
            bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
            allowed.append(np.unpackbits(bits, bitorder="little")[: logits.shape[1]])
        mask = torch.from_numpy(np.stack(allowed)).to(logits.device).bool()
        return logits.masked_fill(~mask, -torch.inf)

    def _state(self, known: dict[tuple[int, ...], LLMatcher], written: tuple[int, ...]) -> LLMatcher:
        if written in known:
            return known[written]
        before = written[:-1] if written[:-1] in known else ()
        matcher = known.get(before, self._begin).deep_copy()
        # After a token that is not allowed, which only a guess can be, nothing is but END: that row is not used.
        matcher.consume_tokens(list(written[len(before) :]))
        return matcher


_HINTS = {
    "json": "give a JSON schema with the keywords that llguidance knows",
    "regex": "it is matched as a whole, and knows neither look-around nor references back",
    "lark": 'give rules in Lark\'s notation, as in start: "yes" | "no"',
}


def _matcher(grammar: Grammar, tokenizer: Tokenizer) -> LLMatcher:
    try:
        from llguidance import LLMatcher
    except ImportError:
        raise ConfigError(
            "constrained writing needs llguidance, which is not installed", hint="pip install 'textus[constrain]'"
        ) from None
    vocabulary = _vocabulary(tokenizer)
    text = _text(grammar)
    is_wrong, messages = LLMatcher.validate_grammar_with_warnings(text, vocabulary)
    if is_wrong:
        # The message quotes the source over several lines; what is wrong with it stands behind the last "error:".
        words = " ".join(" ".join(messages).split()).rpartition("error: ")[2].partition(" 1 | ")[0]
        raise ConfigError(f"{grammar.kind}: {words}", hint=_HINTS[grammar.kind])
    return LLMatcher(vocabulary, text, log_level=0)


def _text(grammar: Grammar) -> str:
    from llguidance import LLMatcher

    if grammar.kind == "regex":
        return LLMatcher.grammar_from_regex(grammar.source)
    if grammar.kind == "lark":
        return LLMatcher.grammar_from_lark(grammar.source)
    try:
        schema = json.loads(grammar.source)
    except ValueError as error:
        raise ConfigError(f"json: the schema is not valid JSON: {error}", hint="{} allows every JSON value") from None
    if not isinstance(schema, dict):
        raise ConfigError("json: the schema is not a JSON object", hint="{} allows every JSON value")
    flexible = {"whitespace_flexible": True, "whitespace_pattern": f"[ \\n]{{0,{grammar.whitespace}}}"}
    return LLMatcher.grammar_from_json_schema(
        schema,
        overrides=flexible if grammar.whitespace else {"whitespace_flexible": False},  # type: ignore[arg-type]
    )


def _vocabulary(tokenizer: Tokenizer) -> LLTokenizer:
    """Tell llguidance the bytes of every token."""
    from llguidance import LLTokenizer, TokenizerWrapper

    class Ours:
        eos_token_id = tokenizer.end
        bos_token_id = None
        tokens = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]  # noqa: RUF012
        special_token_ids = sorted({tokenizer.end, *tokenizer.special})

        def __call__(self, text: Any) -> list[int]:
            return tokenizer.encode(text if isinstance(text, str) else text.decode("utf-8", "replace"))

    return LLTokenizer(TokenizerWrapper(Ours()))
