"""Boilerplate lines, held against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.passages.boilerplate import (
    CandidateLines,
    boilerplate,
    candidate_lines,
    line_keys,
    merged,
    remove_lines,
    repeated_lines,
)
from textus.corpus.passages.config import BoilerplateConfig

CONFIG = BoilerplateConfig(minimum_documents=2, minimum_words=4)
MENU = "Home | About us | Contact"
FOOTER = "All rights reserved by the publisher."
LINES = ("a b c d", "e f", "g h i j k l m n", "", "own one", "own two three four", "---", "  ")
REPEATED = {"a b c d", "e f", "g h i j k l m n"}


def cleaned(texts: list[str], config: BoilerplateConfig = CONFIG) -> list[str]:
    batch = TextBatch(texts)
    repeated = repeated_lines(merged([line_keys(batch)]), len(texts), config)
    return remove_lines(batch, boilerplate(batch, repeated, config))


def test_headers_and_footers_go_and_the_text_stays() -> None:
    pages = [f"{MENU}\n\nPage {n} says this.\nAnd that, number {n}.\n\n{FOOTER}\n{MENU}" for n in range(3)]
    assert cleaned(pages) == [f"Page {n} says this.\nAnd that, number {n}." for n in range(3)]


def test_a_refrain_in_the_middle_stays() -> None:
    songs = [f"Verse {n} begins\n\nhey ho the wind and rain\n\nVerse {n} ends" for n in range(5)]
    assert cleaned(songs) == songs


def test_a_long_block_in_the_middle_goes() -> None:
    block = "Share this page with friends\nTweet this now\nPin it to your own board please"
    pages = [f"Before it {n}\n\n{block}\n\nBehind it {n}" for n in range(3)]
    assert cleaned(pages) == [f"Before it {n}\n\nBehind it {n}" for n in range(3)]


def test_short_lines_at_the_end_stay() -> None:
    articles = [f"Article {n} tells something.\n\nReferences.\n\nExternal links." for n in range(5)]
    assert cleaned(articles) == articles


def test_what_is_nothing_but_boilerplate_stays() -> None:
    licence = f"{MENU}\n{FOOTER}"
    assert cleaned([licence] * 3) == [licence] * 3


def test_code_keeps_its_imports_and_loses_its_licence() -> None:
    def module(name: str, n: int) -> str:
        head = f"{name}import os\nimport sys as system\nfrom pathlib import Path\n\n\n"
        return f"{head}def f{n}(x):\n    return x + {n}\n\n\nif x:\n    f{n}(x)"

    licence = "# Licensed to everyone under the terms of the licence.\n# See the file LICENSE.\n\n"
    assert cleaned([module(licence, n) for n in range(4)]) == [module("", n) for n in range(4)]


def test_paragraphs_are_left_to_passages() -> None:
    texts = [f"Text {n} is here.\n\n" + " ".join(["word"] * 50) for n in range(3)]
    assert cleaned(texts) == texts


def test_enough_documents_make_a_line_repeated() -> None:
    counts = line_keys(TextBatch(["one line", "One  line".replace("  ", " "), "another line"]))
    assert counts.documents.tolist() in ([2, 1], [1, 2])
    assert len(repeated_lines(counts, 3, BoilerplateConfig(minimum_documents=2))) == 1
    assert len(repeated_lines(counts, 3, BoilerplateConfig(minimum_documents=3))) == 0
    assert len(repeated_lines(counts, 3, BoilerplateConfig(minimum_documents=1, minimum_share=0.9))) == 0


pages = st.lists(st.lists(st.sampled_from(LINES), max_size=9).map("\n".join), max_size=5)


@given(pages, st.integers(1, 4))
def test_counts_do_not_depend_on_how_texts_are_batched(texts: list[str], size: int) -> None:
    whole = line_keys(TextBatch(texts))
    parts = merged(line_keys(TextBatch(texts[at : at + size])) for at in range(0, len(texts), size))
    assert whole.keys.tolist() == parts.keys.tolist() == sorted(set(whole.keys.tolist()))
    assert whole.documents.tolist() == parts.documents.tolist()
    lines = [{line.strip() for line in text.split("\n")} for text in texts]
    wanted = sorted(sum(line in own for own in lines) for line in set().union(*lines) if any(map(str.isalnum, line)))
    assert sorted(whole.documents.tolist()) == wanted


@given(pages)
def test_lines_removed_are_those_of_the_definition(texts: list[str]) -> None:
    batch = TextBatch(texts)
    repeated = np.unique(TextBatch(sorted(REPEATED)).line_hashes)
    found = boilerplate(batch, repeated, CONFIG)
    for number, text in enumerate(texts):
        own = found[batch.lines.offsets[number] : batch.lines.offsets[number + 1]]
        assert own.tolist() == slowly(text.split("\n"))


def slowly(lines: list[str]) -> list[bool]:
    """Boilerplate by the definition, a line at a time."""
    blocks: list[list[int]] = []
    for number, line in enumerate(lines):
        if line.strip() in REPEATED or line == "---":
            if blocks and blocks[-1][-1] == number - 1:
                blocks[-1].append(number)
            else:
                blocks.append([number])
    enough = [block for block in blocks if sum(len(lines[line].split()) for line in block if lines[line] != "---") >= 4]
    taken = {line for block in enough for line in block}
    others = [number for number, line in enumerate(lines) if line.strip() and number not in taken]
    removed: set[int] = set()
    for block in enough:
        words = sum(len(lines[line].split()) for line in block if lines[line] != "---")
        alone = all(other > block[-1] for other in others) or all(other < block[0] for other in others)
        if alone or (len(block) >= 3 and words >= 12):
            removed |= set(block)
    total = sum(len(line.split()) for line in lines if line != "---")
    gone = sum(len(lines[line].split()) for line in removed if lines[line] != "---")
    return [number in removed and gone <= 0.8 * total for number in range(len(lines))]


@given(pages)
def test_nothing_is_added_and_the_order_stays(texts: list[str]) -> None:
    for text, left in zip(texts, cleaned(texts), strict=True):
        rest = iter(text.split("\n"))
        assert not left or all(line in rest for line in left.split("\n"))


@pytest.mark.parametrize("texts", [[], [""], ["\n\n"], ["."], ["\ud800"]])
def test_nothing_much_is_borne(texts: list[str]) -> None:
    assert cleaned(texts) == texts
    assert len(merged([]).keys) == 0


@given(st.lists(st.lists(st.sampled_from(LINES), max_size=8).map("\n".join), min_size=1, max_size=6))
def test_a_text_that_is_not_doubtful_has_no_boilerplate(texts: list[str]) -> None:
    batch = TextBatch(texts)
    lines = CandidateLines.joined([candidate_lines(TextBatch([text])) for text in texts])
    repeated = repeated_lines(line_keys(batch), len(texts), CONFIG)
    found = boilerplate(batch, repeated, CONFIG)
    assert set(batch.lines.owners[found].tolist()) <= set(np.flatnonzero(lines.doubtful(repeated, CONFIG)).tolist())
