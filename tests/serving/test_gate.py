"""What leaves, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.safety import policy as policies
from textus.safety.audit import Audit
from textus.safety.gate import Gate as Judge
from textus.safety.guard import Guard, layers_of
from textus.serving.gate import Gate, Mark, Passage
from textus.serving.refusal import Refusal
from textus.tokenizer.tokenizer import Tokenizer

RULES = """
otherwise = "allow"
[output]
email = "redact"
[blocklist.looms]
words = ["forbidden loom"]
[windows.output]
step = 8
before = 24
after = 24
"""
PARTS = st.sampled_from(["the fox ", "é", "日本", " ada@example.org ", "forbidden ", "loom", " 🙂", "x" * 30])
texts = st.lists(PARTS, max_size=8).map("".join)


@pytest.fixture(scope="module")
def guard() -> Guard:
    rules = policies.parse(RULES, "rules", Path())
    return Guard(rules, layers_of(rules))


def passed(passage: Passage, tokens: list[int], tokenizer: Tokenizer, lag: int) -> tuple[str, list[Mark], bool]:
    """Write tokens as an engine does: their text comes some characters later, the rest with the last."""
    stream, decoded, said, marks, text = tokenizer.stream(), "", 0, [], ""
    for number, token in enumerate(tokens):
        passage.tell(token, -float(number), ())
        decoded += stream.push(token)
        if number == len(tokens) - 1:
            decoded += stream.flush()
        end = len(decoded) - (lag if number < len(tokens) - 1 else 0)
        piece, said = decoded[said : max(said, end)], max(said, end)
        left, told = passage.push(piece)
        text, marks = text + left, marks + told
        if passage.blocked:
            break
    left, told = passage.close()
    return text + left, marks + told, passage.blocked


@given(text=texts, lag=st.integers(0, 5))
def test_without_a_guard_everything_leaves_once(tokenizer: Tokenizer, text: str, lag: int) -> None:
    tokens = tokenizer.encode(text)
    left, marks, _ = passed(Passage(tokenizer, None, True), tokens, tokenizer, lag)
    assert left == text
    assert [mark.token for mark in marks] == tokens
    for mark in marks:
        assert text.encode()[len(text[: mark.start].encode()) :] or mark.start == len(text)
        whole = tokenizer.token_bytes(mark.token).decode("utf-8", "ignore")
        assert text[mark.start : mark.end] == whole or not whole or "�" in whole or mark.end > mark.start


@settings(max_examples=60)
@given(text=texts, lag=st.integers(0, 5))
def test_what_leaves_is_what_the_guard_lets_pass(tokenizer: Tokenizer, guard: Guard, text: str, lag: int) -> None:
    tokens = tokenizer.encode(text)
    left, marks, blocked = passed(Passage(tokenizer, guard, True), tokens, tokenizer, lag)
    verdict = guard.check(text, "output")
    assert blocked == verdict.blocked
    if blocked:
        first = min(span.start for span in verdict.spans if guard.action(span.category, "output") == "block")
        assert all(mark.end <= first for mark in marks)
        return
    assert left == verdict.text
    hidden = {place for span in verdict.spans for place in range(span.start, span.end)}
    shown = {place for mark in marks for place in range(mark.start, mark.end)}
    assert not hidden & shown
    whole = [mark.token for mark in marks]
    assert whole == tokens or verdict.action == "redact"


def test_tokens_behind_a_stop_string_are_not_told_of(tokenizer: Tokenizer) -> None:
    passage = Passage(tokenizer, None, True)
    for token in tokenizer.encode("the fox"):
        passage.tell(token, -1.0, ())
    left, marks = passage.push("the ")
    rest, more = passage.close()
    assert (left, rest) == ("the ", "")
    assert all(mark.start < 4 for mark in [*marks, *more])


def test_special_tokens_have_no_text(tokenizer: Tokenizer) -> None:
    passage = Passage(tokenizer, None, True)
    tokens = [tokenizer.begin, *tokenizer.encode("a")]
    for token in tokens:
        passage.tell(token, None, ())
    _, marks = passage.push("a")
    assert [(mark.start, mark.end) for mark in marks] == [(0, 0), (0, 1)]


def test_a_whole_text_is_let_in_changed_or_refused_and_noted(guard: Guard, tmp_path: Path) -> None:
    noted: list[Any] = []
    gate = Gate(Judge(guard, Audit(tmp_path / "log", raw=True)))
    assert gate.admit("write to ada@example.org", "prompt", {"who": "Ada"}, "output") == "write to <EMAIL>"
    with pytest.raises(Refusal) as refused:
        gate.admit("a Forbidden  loom", "prompt", {"who": "Ada"})
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "content_filter", "prompt")
    assert "loom" not in refused.value.message.replace("blocklist/looms", "")
    noted = (tmp_path / "log" / "00000001.jsonl").read_text("utf-8").splitlines()
    assert len(noted) == 2 and '"who":"Ada"' in noted[0]
    assert Gate().admit("a forbidden loom", "prompt", {}) == "a forbidden loom"
