from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import textus
from textus.errors import ArtefactError, ConfigError


def test_a_window_shows_each_token_beside_the_next(trained: Path) -> None:
    shown = textus.inspect(trained / "runs" / "first", window=0).text()
    rows = re.findall(r"^ *('.*') \| (.*)$", shown, re.MULTILINE)
    assert len(rows) == 64
    for (_, asked), (read, _) in itertools.pairwise(rows):
        assert asked in (read, "·")
    assert r"\\n" not in shown, "a line break is escaped once"


def test_a_document_is_shown_as_it_is(trained: Path) -> None:
    run = trained / "runs" / "first"
    document = next(iter(textus.Corpus.open(run / "corpus").documents("validation")))
    assert document.text in textus.inspect(run, document=0, split="validation").text()


@pytest.mark.parametrize("part", ["", "corpus", "tokenizer", "shards"])
def test_every_artefact_says_something(part: str, trained: Path) -> None:
    assert textus.inspect(trained / "runs" / "first" / part).sections


def test_what_is_not_there_is_named(trained: Path) -> None:
    run = trained / "runs" / "first"
    with pytest.raises(ConfigError, match="no document 10000"):
        textus.inspect(run, document=10_000)
    with pytest.raises(ConfigError, match="no window -1"):
        textus.inspect(run, window=-1)
    with pytest.raises(ArtefactError, match="holds no corpus, tokenizer, shards or model"):
        textus.inspect(trained / "my_texts")
