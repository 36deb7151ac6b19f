from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textus.errors import TokenizerError
from textus.tokenizer import fast
from textus.tokenizer.content import SPECIAL_TOKENS
from textus.tokenizer.tokenizer import Tokenizer

ENGINES = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
    for name in ("gigatoken", "fastokens", "tiktoken", "tokenizers")
]
ANYTHING = st.text() | st.lists(st.sampled_from([*"ab AB'sSt09é½ ſ\n\r\t\u00a0。你🦙\u0300", *SPECIAL_TOKENS])).map(
    "".join
)


class Heard:
    """A progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def task(self, name, total, unit):
        raise AssertionError("no task here")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tokenizer) -> Tokenizer:
    """The tokenizer of the tests with another encoder."""
    other = Tokenizer(tokenizer._content)
    other.use(request.param)
    assert other.encoder == request.param
    return other


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANYTHING)
def test_tokens_are_the_same_whoever_makes_them(engine, tokenizer, text):
    assert engine.encode(text) == tokenizer.encode(text)


def test_tokens_are_the_same_on_real_text(engine, tokenizer, texts):
    for ours, theirs in zip(tokenizer.encode_batch(texts), engine.encode_batch(texts), strict=True):
        assert theirs.dtype == np.uint32 and ours.tolist() == theirs.tolist()
    assert engine.encode_batch([]) == []


@pytest.mark.skipif(find_spec("gigatoken") is None, reason="gigatoken is not installed")
def test_tokens_are_the_same_one_by_one_and_together(tokenizer, texts, monkeypatch):
    every = [*texts, *fast.samples()]
    found = []
    for characters in (10**9, 0):
        monkeypatch.setattr(fast, "_WORTH_THREADS", characters)
        found.append([tokens.tolist() for tokens in fast._gigatoken(tokenizer._content)(every)])
    assert found[0] == found[1]


def test_the_texts_of_the_test_are_many_and_all_different():
    assert len(fast.samples()) == len(set(fast.samples())) > 200


def wrong(content):
    engine = fast._tokenizers(content)
    return lambda texts: [np.append(engine([text])[0], 7) if "½" in text else engine([text])[0] for text in texts]


def broken(content):
    raise ValueError("an engine\nof another kind")


def test_an_engine_that_fails_the_test_is_passed_over_and_said(tokenizer, monkeypatch):
    monkeypatch.setattr(fast, "find_spec", lambda name: name != "tiktoken" or None)
    monkeypatch.setattr(fast, "_ENGINES", {"gigatoken": broken, "fastokens": wrong, "tiktoken": broken})
    other, heard = Tokenizer(tokenizer._content), Heard()
    other.use("auto", heard)
    assert other.encoder == "builtin"
    assert heard.said == [
        "encoder gigatoken is not used: ValueError: an engine",
        "encoder fastokens is not used: it gives other tokens for '½'",
    ]
    for name, reason in (("fastokens", "other tokens"), ("tiktoken", "not installed"), ("gigatoken", "an engine")):
        with pytest.raises(TokenizerError, match=f"tokenizer.encoder = {name} cannot be used: .*{reason}"):
            other.use(name)


def test_the_fastest_that_passes_is_taken(tokenizer, monkeypatch):
    monkeypatch.setattr(fast, "find_spec", lambda name: True)
    monkeypatch.setattr(fast, "_ENGINES", {"gigatoken": broken, "fastokens": fast._tokenizers})
    other = Tokenizer(tokenizer._content)
    other.use("auto")
    assert other.encoder == "fastokens"
    other.use("builtin")
    assert other.encoder == "builtin"


@pytest.mark.skipif(find_spec("tiktoken") is None, reason="tiktoken is not installed")
def test_an_engine_that_knows_one_split_only_refuses_another(tokenizer):
    values = json.loads(tokenizer._content)
    values["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\S+|\s+"
    with pytest.raises(TokenizerError, match="our own split only"):
        Tokenizer(json.dumps(values)).use("tiktoken")
