"""What a guard lets out is what it lets out of the whole text, and no token tells of more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textus
from textus.decoding.chat import Message
from textus.decoding.constrain import Grammar
from textus.decoding.piece import WITHHELD, Piece, collect
from textus.errors import ConfigError
from textus.safety import policy
from textus.safety.audit import Audit
from textus.safety.gate import Gate
from textus.safety.guard import Guard, layers_of

LAG = 5
RULES = """
[blocklist.names]
words = ["rosebud"]
output = "redact"
[blocklist.plots]
words = ["gunpowder"]
input = "block"
output = "block"
[windows.output]
step = 7
before = 12
after = 12
"""


def gate_of(audit: Audit | None = None) -> Gate:
    rules = policy.parse(RULES, "test", Path())
    return Gate(Guard(rules, layers_of(rules)), audit)


def pieces_of(tokens: list[str], lags: list[int], row: int = 0) -> Iterator[Piece]:
    """Write tokens whose text may come up to `LAG` characters late, as behind a stop string."""
    whole, sent = "", 0
    for number, token in enumerate(tokens):
        whole += token
        is_last = number == len(tokens) - 1
        upto = len(whole) if is_last else max(sent, len(whole) - lags[number % len(lags)])
        yield Piece(whole[sent:upto], number, -1.0, row, "end" if is_last else "")
        sent = upto


WORDS = st.sampled_from(["rosebud", "gunpowder", "a ", "loom", " and ", "thread ", "\n", "é", "gun", "rose"])


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=30), st.lists(st.integers(0, LAG), min_size=1, max_size=5), st.data())
def test_no_token_tells_more_than_the_text(words: list[str], lags: list[int], data: Any) -> None:
    text = "".join(words)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text)), max_size=len(text))) | {len(text)})
    tokens = [text[a:b] for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]
    gate = gate_of()
    whole = gate.guard.check(text, "output")
    hidden = [(one.start, one.end) for one in whole.spans if one.category == "blocklist/names"]
    ends = dict(enumerate(cuts))
    outlet, out = gate.outlet(LAG), []
    for piece in pieces_of(tokens, lags):
        passed = outlet.take(piece)
        held = outlet._stream.held
        for one in passed:
            if one.token != WITHHELD and not outlet.is_over:
                assert ends[one.token] <= sum(map(len, outlet._written)) - held  # its text has been decided
        out += passed
    (found,) = collect(out, 1)
    told = [one.token for one in out if one.token != WITHHELD]
    assert told == sorted(set(told))
    for token in told:
        begin, end = ends[token] - len(tokens[token]), ends[token]
        assert not any(begin < last and end > first for first, last in hidden)
    if whole.blocked:
        assert found.finish_reason == "content_filter" and "blocklist/plots" in found.why
        at = min(one.start for one in whole.spans if one.category == "blocklist/plots")
        assert all(ends[token] <= at for token in told)
    else:
        assert (found.text, found.finish_reason) == (whole.text, "end")
        assert hidden or told == list(range(len(tokens)))


def test_a_blocked_text_ends_the_writing_and_the_others_go_on() -> None:
    gate, closed = gate_of(), []

    def written() -> Iterator[Piece]:
        try:
            rows = [pieces_of(["gun", "powder", *[" x"] * 40], [0], 0), pieces_of(["loom "] * 20, [0], 1)]
            for _ in range(42):
                for row in rows:
                    yield from (piece for piece in [next(row, None)] if piece)
        finally:
            closed.append(True)

    first, second = collect(gate.let_out(written(), 2, LAG), 2)
    assert (first.text, first.tokens, first.finish_reason) == ("", (), "content_filter")
    assert (second.text, second.finish_reason) == ("loom " * 20, "end")
    endless = (Piece("gunpowder ", 1, 0.0) for _ in iter(int, 1))
    (only,) = collect(gate.let_out(endless, 1), 1)
    assert only.finish_reason == "content_filter" and closed


def test_prompts_and_texts_are_judged_and_logged(trained: Path, tmp_path: Path) -> None:
    run = trained / "runs" / "first"
    (tmp_path / "p.toml").write_text(RULES)
    log = Audit(tmp_path / "log", raw=True)
    behind = {"policy": tmp_path / "p.toml", "audit": log}
    blocked = textus.generate(run, "Some gunpowder", n=2, **behind)
    assert [(one.text, one.tokens, one.finish_reason) for one in blocked] == [("", (), "content_filter")] * 2
    forced = Grammar("regex", " a rosebud and gunpowder here", 0)
    (stopped,) = textus.generate(run, "Once", grammar=forced, max_tokens=40, **behind)
    assert stopped.finish_reason == "content_filter" and "gun" not in stopped.text and "rose" not in stopped.text
    (redacted,) = textus.generate(run, "Once", grammar=Grammar("regex", " a rosebud here", 0), max_tokens=40, **behind)
    assert redacted.text == " a <BLOCKLIST_NAMES> here"
    assert len(redacted.tokens) == len(redacted.logprobs)
    opened = textus.load(run)
    assert "rose" not in "".join(map(opened.tokenizer.token_text, redacted.tokens))
    lines = [line for path in sorted((tmp_path / "log").glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert len(lines) == 5 and "a rosebud here" in lines[-1]
    (free,) = textus.generate(run, "Once", max_tokens=30, policy="default", stop=["zq"])
    (bare,) = textus.generate(run, "Once", max_tokens=30, stop=["zq"])
    assert free == bare


def test_a_conversation_is_judged_turn_by_turn(trained: Path, tmp_path: Path) -> None:
    run = trained / "runs" / "first"
    (tmp_path / "p.toml").write_text(RULES)
    said = [Message("user", "Hello"), Message("assistant", "Hi"), Message("user", "About gunpowder")]
    stopped = textus.chat(run, said, policy=tmp_path / "p.toml", max_tokens=4)
    assert stopped.finish_reason == "content_filter" and "the prompt" in stopped.why
    answer = textus.chat(run, said[:1], policy=tmp_path / "p.toml", max_tokens=4)
    assert answer == textus.chat(run, said[:1], max_tokens=4)
    with pytest.raises(ConfigError, match="no guard whose decisions"):
        textus.chat(run, said[:1], audit=Audit(tmp_path / "log"))
