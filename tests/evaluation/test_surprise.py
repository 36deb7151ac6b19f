from __future__ import annotations

import html
import math
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.corpus.document import Document
from textus.errors import CorpusError
from textus.evaluation.documents import frame
from textus.evaluation.perplexity import evaluate
from textus.evaluation.pseudo import likelihood
from textus.evaluation.surprise import surprise
from textus.evaluation.surprise_page import page, summary
from textus.model.transformer import Transformer

TEXT = "the quick brown fox jumps over the lazy dog. " * 3
NASTY = "<script>alert(1)</script>\"'&amp; onmouseover=x \x1b[31m\u202e\t\r\n</pre></span> ü 日本 🎉"
VOID = {"meta", "line", "polyline", "rect"}


class Page(HTMLParser):
    """Holds a page against its tags, and keeps the words of what is coloured."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.titles: list[str] = []
        self.seen = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.titles += [value or "" for name, value in attrs if name == "title"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-2:] == ["pre", "span"]:
            self.seen += data


@pytest.fixture(scope="module")
def encoder(model: Transformer) -> Transformer:
    shape = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
    return Transformer(type(model.config)(**{**vars(model.config), **shape}), seed=4).eval()


def test_the_bits_are_those_of_evaluate(model: Any, tokenizer: Any) -> None:
    documents = [Document(TEXT, "a"), Document("fox", "b")]
    found = surprise(model, tokenizer, documents)
    scores = evaluate(model, tokenizer, (frame(tokenizer, one) for one in documents), data="d", stride=8)
    assert found.bits == pytest.approx(scores.score("loss").value * scores.tokens / math.log(2), rel=1e-5)
    assert [passage.num_bytes for passage in found.passages] == [one.num_bytes for one in documents]
    assert found.passages[1].tokens[-1].token == tokenizer.end and not found.is_pseudo


@torch.no_grad()
def test_alternatives_are_the_likeliest_tokens(model: Any, tokenizer: Any) -> None:
    (passage,) = surprise(model, tokenizer, [Document("the fox", "a")], alternatives=3).passages
    tokens = [tokenizer.end, *tokenizer.encode("the fox")]
    for place, one in enumerate(passage.tokens):
        shares, which = model(torch.tensor([tokens[: place + 1]])).logits[0, -1].softmax(-1).topk(3)
        assert [token for token, _ in one.alternatives] == which.tolist()
        assert [share for _, share in one.alternatives] == pytest.approx(shares.tolist(), rel=1e-5)
    told = surprise(model, tokenizer, [Document("the fox", "a")]).as_dict(tokenizer)
    assert told["method"] == "log_likelihood" and told["tokens"] == len(tokens)
    assert len(told["documents"][0]["tokens"][0]["alternatives"]) == 5


@pytest.mark.parametrize("offset", [0, 1])
def test_a_model_that_reads_both_ways_has_its_pseudo_likelihood(
    encoder: Any, model: Any, tokenizer: Any, offset: int
) -> None:
    network = encoder
    if offset:
        network = Transformer(replace(model.config, {"attention": "bidirectional"}), seed=5).eval()
    text = "jumping foxes qzv"
    found = surprise(network, tokenizer, [Document(text, "a")])
    assert len(found.passages[0].tokens) < 16
    alone = likelihood(network, tokenizer, text, "word-l2r")
    assert [one.bits for one in found.passages[0].tokens] == pytest.approx(
        [-value / math.log(2) for value in alone.logprobs], rel=1e-4
    )
    assert found.is_pseudo and "pseudo-likelihood" in page(found, tokenizer, "m").text()
    long = surprise(network, tokenizer, [Document(TEXT, "a")])
    assert len(long.passages[0].tokens) == len(tokenizer.encode(TEXT)) > 16


def test_no_more_is_read_than_a_page_holds(model: Any, tokenizer: Any) -> None:
    documents = [Document(TEXT, "a"), Document(TEXT, "b"), Document(TEXT, "c")]
    whole = len(tokenizer.encode(TEXT)) + 1
    found = surprise(model, tokenizer, documents, most_tokens=whole + 5)
    assert [(len(one.tokens), one.left_out) for one in found.passages] == [(whole, 0), (5, whole - 5)]
    assert found.documents_left_out == 1
    html = page(found, tokenizer, "m").html()
    assert f"{whole - 5} more tokens" in html and "1 more documents are left out" in html


@settings(max_examples=6)
@given(st.text(max_size=40).map(lambda text: text + NASTY))
def test_text_is_only_ever_text(model: Any, tokenizer: Any, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    found = surprise(model, tokenizer, [Document(text, "<img src=x onerror=alert(1)>")])
    read = Page(page(found, tokenizer, "<b>m</b>").html())
    assert not read.tags & {"script", "img", "b", "a", "link", "iframe"}
    assert not {name for name in read.attributes if name.startswith("on")} | read.attributes & {"src", "href"}
    assert len(read.titles) == len(found.passages[0].tokens)
    assert all("bits" in title.splitlines()[0] and len(title.splitlines()) == 6 for title in read.titles)
    shown = read.seen.replace("↵\n", "").replace("→\t", "")
    assert "⏹" in shown and not [c for c in shown if not c.isprintable()]


def test_special_characters_are_shown_and_the_rest_is_as_it_was(model: Any, tokenizer: Any) -> None:
    found = surprise(model, tokenizer, [Document("a <b>\tc\nd\x00é", "x")])
    read = Page(page(found, tokenizer, "m").html())
    assert read.seen == "a <b>→\tc↵\nd\\x00◌é⏹"
    assert html.unescape(read.titles[0]).startswith("'a'  ")


def test_a_terminal_is_shown_the_hardest_tokens(model: Any, tokenizer: Any) -> None:
    found = surprise(model, tokenizer, [Document(TEXT, "a"), Document("fox\n\x1b[31m" * 9, "b")])
    told = summary(found, tokenizer)
    rows = dict(told.sections)["Most surprising"].as_dict()
    bits = sorted((one.bits for passage in found.passages for one in passage.tokens), reverse=True)
    assert [row["bits"] for row in rows] == [round(value, 2) for value in bits[:15]]
    assert "\x1b" not in told.text() and told.text().count("\n") < 40


def test_an_empty_text_is_an_error(model: Any, encoder: Any, tokenizer: Any) -> None:
    for documents in ([], [Document("", "a")]):
        with pytest.raises(CorpusError, match="no text"):
            surprise(encoder, tokenizer, documents)
    with pytest.raises(CorpusError, match="no text"):
        surprise(model, tokenizer, [])
