"""Contamination, held against plain Python."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.index import build_index, joined, probe
from textus.corpus.contamination.items import Item
from textus.corpus.contamination.score import Matches, match, spans
from textus.corpus.passages.cut import without_words
from textus.errors import ConfigError

SMALL = ContaminationConfig(size=4, minimum_words=2, threshold=0.5)
QUESTION = "Which of these planets has the most moons and the widest rings of them all"

words = st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join)


def items_of(*texts: str) -> list[Item]:
    return [Item("set", number, (text,)) for number, text in enumerate(texts)]


def found(texts: list[str], items: list[Item], config: ContaminationConfig, size: int = 100) -> Matches:
    index = build_index(items, config)
    parts = [probe(TextBatch(texts[at : at + size]), index).shifted(at) for at in range(0, len(texts), size)]
    return match(joined(parts), index, len(texts), config)


def grams(text: str, config: ContaminationConfig) -> set[tuple[str, ...]]:
    own = text.split()
    if len(own) >= config.size:
        return {tuple(own[at : at + config.size]) for at in range(len(own) - config.size + 1)}
    return {tuple(own)} if len(own) >= config.minimum_words else set()


def slowly(texts: list[str], items: list[Item], config: ContaminationConfig) -> dict[tuple[int, int], float]:
    best: dict[tuple[int, int], float] = defaultdict(float)
    for document, text in enumerate(texts):
        own = text.split()
        runs = {tuple(own[a:b]) for a in range(len(own)) for b in range(a + 1, len(own) + 1)}
        for number, item in enumerate(items):
            for form in item.texts:
                wanted = grams(form, config)
                if wanted and len(wanted & runs) / len(wanted) >= config.threshold:
                    best[document, number] = max(best[document, number], len(wanted & runs) / len(wanted))
    return dict(best)


@given(st.lists(words, max_size=4), st.lists(st.lists(words, min_size=1, max_size=2), max_size=4), st.integers(1, 3))
def test_coverage_is_that_of_the_definition(texts: list[str], forms: list[list[str]], size: int) -> None:
    items = [Item("set", number, tuple(own)) for number, own in enumerate(forms)]
    matches = found(texts, items, SMALL, size)
    rows = zip(matches.documents.tolist(), matches.items.tolist(), matches.coverages.tolist(), strict=True)
    assert {(document, item): coverage for document, item, coverage in rows} == pytest.approx(
        slowly(texts, items, SMALL)
    )


def test_an_item_is_found_and_cut_and_the_rest_stays() -> None:
    config = ContaminationConfig()
    text = f"It was a fine day.\n\nQuestion: {QUESTION}? Saturn.\nNobody answered her."
    items = items_of("something else altogether that is long enough to be one of the items", f"{QUESTION} Saturn")
    index = build_index(items, config)
    batch = TextBatch(["A text of its own.", text])
    hits = probe(batch, index)
    matches = match(hits, index, 2, config)
    assert (matches.documents.tolist(), matches.items.tolist(), matches.coverages.tolist()) == ([1], [1], [1.0])
    documents, starts, ends = spans(hits, matches, index)
    assert documents.tolist() == [1]
    assert without_words(batch, 1, [(int(starts[0]), int(ends[0]))]) == (
        "It was a fine day.\n\nQuestion:\nNobody answered her."
    )


def test_case_and_punctuation_make_no_difference() -> None:
    assert len(found([QUESTION.upper().replace(" ", ", ")], items_of(QUESTION), ContaminationConfig())) == 1


def test_a_short_item_is_found_as_a_whole_only() -> None:
    item = "one two three four five six seven eight nine"
    config = ContaminationConfig()
    assert len(found([f"zero {item} ten"], items_of(item), config)) == 1
    assert len(found([item.replace("nine", "ten"), "one two three four five six seven"], items_of(item), config)) == 0
    assert len(found([item], items_of("one two three four five six seven"), config)) == 0


def test_common_language_is_no_evidence() -> None:
    config = ContaminationConfig(common_documents=3)
    assert len(found([QUESTION] * 3, items_of(QUESTION), config)) == 3
    assert len(found([QUESTION] * 4, items_of(QUESTION), config)) == 0


def test_the_template_of_a_set_is_no_evidence() -> None:
    template = "Complete the rest of the sequence making sure that all the parentheses are closed"
    items = items_of(*(f"{template} {n} x{n} y{n} z{n}" for n in range(40)))
    config = dataclasses.replace(ContaminationConfig(), size=5, minimum_words=5, threshold=0.1)
    assert len(found([template], items, config)) == 0
    assert found([f"{template} 7 x7 y7 z7"], items, config).items.tolist() == [7]


def test_an_item_that_comes_twice_is_cut_twice() -> None:
    config = ContaminationConfig()
    text = (
        f"{QUESTION}. "
        + "Much lies between these two, more than an n-gram has words, and all of it stays. " * 2
        + QUESTION
    )
    index = build_index(items_of(QUESTION), config)
    hits = probe(TextBatch([text]), index)
    _, starts, ends = spans(hits, match(hits, index, 1, config), index)
    assert (ends - starts).tolist() == [len(QUESTION.split())] * 2


@pytest.mark.parametrize("texts", [[], [""], ["."], ["\ud800"]])
@pytest.mark.parametrize("items", [[], items_of(""), items_of(QUESTION)])
def test_nothing_much_is_borne(texts: list[str], items: list[Item]) -> None:
    assert len(found(texts, items, ContaminationConfig())) == 0


def test_short_forms_must_be_covered_by_two_runs() -> None:
    with pytest.raises(ConfigError, match="minimum_words"):
        ContaminationConfig(size=13, minimum_words=6)
    with pytest.raises(ConfigError, match="minimum_words"):
        ContaminationConfig(size=13, minimum_words=14)
