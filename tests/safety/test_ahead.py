"""Windows that are read together are those that would be read one by one, and nothing is decided otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from textus.safety import policy
from textus.safety.guard import Guard, layers_of

POLICY = """
[output]
email = "redact"
hate = "block"
[windows.output]
step = 16
before = 24
after = 12
"""
WORDS = st.sampled_from(["weaving ", "ada@example.org", " the ", "hateful ", "x" * 20, "é", "\n", ""])


class Classifier:
    """Score by a word; remember what was read alone, and what together."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.kept: dict[str, Mapping[str, float]] = {}
        self.breaks = False

    def __call__(self, text: str) -> Mapping[str, float]:
        self.read.append(text)
        return self.kept.pop(text, None) or {"hate": 0.9 if "hateful" in text else 0.1}

    def ahead(self, texts: Sequence[str]) -> None:
        if self.breaks:
            raise RuntimeError("out of memory")
        self.kept = {text: {"hate": 0.9 if "hateful" in text else 0.1} for text in texts}


@settings(max_examples=80)
@given(st.lists(WORDS, max_size=12), st.booleans())
def test_what_is_told_to_come_is_read_next(pieces: list[str], breaks: bool) -> None:
    rules = policy.parse(POLICY, "small", policy.Path())
    judge, plain = Classifier(), Classifier()
    judge.breaks = breaks
    guard = Guard(rules, layers_of(rules), judge)
    stream, alone = guard.stream(), Guard(rules, layers_of(rules), plain).stream()
    left = wanted = ""
    for number, piece in enumerate(pieces):
        closes = number == len(pieces) - 1
        coming = stream.coming(piece, closes)
        guard.ahead([coming, "something of another text"])
        before = len(judge.read)
        left += stream.push(piece)
        wanted += alone.push(piece)
        if closes:
            left += stream.close()
            wanted += alone.close()
        assert judge.read[before : before + 1] == ([coming] if coming else [])
    assert (left, stream.blocked, stream.verdict()) == (wanted, alone.blocked, alone.verdict())
    assert judge.read == plain.read
