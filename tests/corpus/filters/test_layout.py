"""Measures of lines and paragraphs, held against their definitions in plain Python."""

from __future__ import annotations

import math
import random
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters import layout
from textus.corpus.filters.layout import BULLETS, LINE_ENDS, POLICIES

LINES = [
    "", "", " ", "\t", "- one", "• two", "  * three", "And so on...", "more…", "..", "\u3000wide",
    "A sentence.", "a SENTENCE. ", "“Said.”", "短。", "A line that is longer than thirty characters, or so",
    "x" * 30, "y" * 31,
    "# comment", "// comment", "/* comment", "-- sql", "/ no", "Enable JavaScript", "No javascripts",
    "Our privacy  policy and cookie policy", "terms of", "use",
]  # fmt: skip
texts = st.lists(st.lists(st.sampled_from(LINES) | st.text(max_size=8), max_size=14).map("\n".join), max_size=5)


def per(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def repeated(pieces: list[str]) -> tuple[float, float]:
    """The share of pieces that were there before, by number and by characters."""
    seen: set[str] = set()
    again = []
    for piece in pieces:
        if piece.lower() in seen:
            again.append(piece)
        seen.add(piece.lower())
    return per(len(again), len(pieces)), per(sum(map(len, again)), sum(map(len, pieces)))


def words_of(line: str) -> str:
    batch = TextBatch([line])
    return " " + " ".join(batch.word(number).lower() for number in range(len(batch.words))) + " "


def oracle(text: str) -> dict[str, float]:
    every = text.split("\n")
    lines = [line.strip() for line in every if line.strip()]
    paragraphs = [part.strip() for part in re.split(r"\n(?:[^\S\n]*\n)+", text) if part.strip()]

    def share(found: list[bool]) -> float:
        return per(sum(found), len(lines))

    by_line, by_paragraph = repeated(lines), repeated(paragraphs)
    return {
        "lines": len(lines),
        "bullet_lines": share([line[0] in BULLETS for line in lines]),
        "ellipsis_lines": share([line.endswith(("...", "…")) for line in lines]),
        "punctuated_lines": share([line[-1] in LINE_ENDS for line in lines]),
        "short_lines": share([len(line) <= 30 for line in lines]),
        "javascript_lines": share([" javascript " in words_of(line) for line in lines]),
        "policy_lines": share([any(f" {phrase} " in words_of(line) for phrase in POLICIES) for line in lines]),
        "comment_lines": share([line.startswith(("#", "//", "/*", "*", "--")) for line in lines]),
        "longest_line": max(map(len, every)),
        "mean_line_length": per(sum(map(len, every)), len(every)),
        "duplicate_lines": by_line[0],
        "duplicate_line_characters": by_line[1],
        "duplicate_paragraphs": by_paragraph[0],
        "duplicate_paragraph_characters": by_paragraph[1],
    }


@settings(max_examples=40)
@given(texts)
def test_measures_are_as_defined(hold_to_definition: Any, given_texts: list[str]) -> None:
    hold_to_definition(layout, oracle, given_texts)


def test_measures_of_a_thousand_texts_at_once_are_as_defined(hold_to_definition: Any) -> None:
    generator = random.Random(0)
    hold_to_definition(
        layout, oracle, ["\n".join(generator.choices(LINES, k=generator.randrange(30))) for _ in range(1000)]
    )
