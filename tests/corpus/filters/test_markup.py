"""Measures of markup, held against regular expressions."""

from __future__ import annotations

import math
import random
import re
import unicodedata
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters import markup

BASE64 = "aGVsbG8gd29ybGQ0+/=" * 3
FRAGMENTS = [
    "{", "}", "{{", "[[", "[", "word", "é", " ", " ", "\n", "http://a.b/c", "://", "www.", "WWW.x", "xwww.",
    "<b>", "</b>", "<", ">", "<!--", "< 3", "&amp;", "&#160;", "&", ";", "&toolongforentity;", "&a;",
    BASE64, "A" * 45, "a1" * 20, "a1" * 19 + "b", "1" * 45, "0a" * 20,
]  # fmt: skip
texts = st.lists(st.lists(st.sampled_from(FRAGMENTS) | st.characters(), max_size=25).map("".join), max_size=5)


def per(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L"


def oracle(text: str) -> dict[str, float]:
    words = len(TextBatch([text]).words)
    strings = text.split()
    links = [string for string in strings if "://" in string or string.lower().startswith("www.")]
    tags = [tag for tag in re.findall(r"<[^<>]+>", text) if is_letter(tag[1]) or tag[1] in "/!?"]
    runs = re.findall(r"[A-Za-z0-9+/=]{40,}", text)
    encoded = [run for run in runs if re.search("[A-Za-z]", run) and re.search("[0-9]", run)]
    return {
        "curly_brackets": text.count("{") + text.count("}"),
        "longest_string": max(map(len, strings), default=0),
        "links": per(sum(map(len, links)), sum(map(len, strings))),
        "tags": per(sum(map(len, tags)), len(text)),
        "entities": per(len(re.findall(r"&[A-Za-z0-9#]{2,10};", text)), words),
        "wiki_marks": per(text.count("[[") + text.count("{{"), words),
        "encoded": per(sum(map(len, encoded)), len(text)),
    }


@settings(max_examples=40)
@given(texts)
def test_measures_are_as_defined(hold_to_definition: Any, given_texts: list[str]) -> None:
    hold_to_definition(markup, oracle, given_texts)


def test_measures_of_a_thousand_texts_at_once_are_as_defined(hold_to_definition: Any) -> None:
    generator = random.Random(0)
    hold_to_definition(
        markup, oracle, ["".join(generator.choices(FRAGMENTS, k=generator.randrange(30))) for _ in range(1000)]
    )
