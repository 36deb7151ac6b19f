from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.dataset.mixture import mix, names_of
from textus.dataset.tokenize import Shards
from textus.errors import ArtefactError, ConfigError
from textus.verbs.settings import kept_settings


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


def test_tokenizers_side_by_side(trained: Path, tmp_path: Path) -> None:
    run = trained / "runs" / "first"
    other = tmp_path / "other"
    textus.Tokenizer.load(run / "tokenizer").save(other)
    for place in (run, run / "tokenizer"):
        report = textus.inspect(place, compare=[other])
        (table,) = [section for name, section in report.sections if name == "Side by side"]
        rows = {row[0]: row[1:] for row in table.rows}
        assert rows["random texts that come back"] == (1000, 1000)
        assert len(set(rows["bytes per token"])) == len(set(rows["entries unused"])) == 1
    facts = textus.inspect(run / "tokenizer").as_dict()["sections"]["Tokenizer"]
    assert facts["bytes per token (validation)"] > 1 and facts["kind"] == "byte-level BPE"
    alone = textus.inspect(other / "tokenizer.json").as_dict()["sections"]["Tokenizer"]
    assert "bytes per token (validation)" not in alone and alone["random texts that come back"] == "1000 of 1000"


def test_a_vocabulary_size_on_the_command_line(desk: Any) -> None:
    desk.type("textus tokenize my_texts/ -o runs/sized --vocab-size 300")
    assert textus.Tokenizer.load(Path("runs/sized/tokenizer")).vocab_size == 300
    desk.type("textus tokenize my_texts/ -o runs/sized --vocab-size auto")
    assert (Path("runs/sized/tokenizer") / "sizes.json").is_file()
    with pytest.raises(ConfigError, match="vocab_size"):
        textus.tokenize("my_texts/", out="runs/sized", settings={"tokenizer.vocab_size": "many"})


def test_a_window_of_a_mixture_is_the_one_that_training_shows(desk: Any) -> None:
    desk.type("textus train my_texts notes.md -o runs/mixed \"mixture.weights=['my_texts=1','notes=3']\"")
    run = Path("runs/mixed")
    corpus, shards = textus.Corpus.open(run / "corpus"), Shards.open(run / "shards")
    split, config = shards.split("train"), kept_settings(run).mixture
    names = [names_of(document) for document in corpus.documents("train")]
    windows = mix(split, names, config, 64, 1, seed=kept_settings(run).training.seed)
    tokenizer = textus.Tokenizer.load(run / "tokenizer")
    seen = set()
    for number in range(8):
        shown = textus.inspect(run, window=number).text()
        rows = re.findall(r"^ *'(.*)' \| .*$", shown, re.MULTILINE)
        wanted = windows.rows([number]).tokens[0, :-1].tolist()
        assert rows == [tokenizer.token_text(token) for token in wanted[: len(rows)]] and rows
        (source,), (inside,) = windows.places([number])
        assert f"Window {number} of train: {windows.names[source]}, epoch" in shown
        assert f"place {inside % windows.windows[source].per_epoch} of" in shown
        seen.add(windows.names[source])
    assert seen == {"my_texts", "notes"}
    assert "Window 0 of validation: epoch 0" in textus.inspect(run, window=0, split="validation").text()
