"""Going on with another text, the old one shown again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.dataset.mixture import Mixture
from textus.dataset.pack import Windows
from textus.dataset.tokenize import Shards
from textus.errors import ConfigError
from textus.verbs.replay import with_replay

FAST: dict[str, Any] = {
    "training.steps": 3,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.evaluate_tokens": 512,
    "sampling.max_tokens": 4,
    "corpus.minimum_split_documents": 1,
}


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(trained, tmp_path_factory.mktemp("continued") / "mine")


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    monkeypatch.chdir(place)
    return place


def test_before_and_after_on_both_texts(here: Path) -> None:
    found = textus.adapt("runs/first", "other_texts/", method="continue", out="runs/second", settings=FAST)
    names = [score.name for score in found.scores]
    assert names == [f"{part}_{name}" for part in ("new", "old") for name in ("loss", "perplexity", "bits_per_byte")]
    before = {score["name"]: score["value"] for score in found.facts["before"]}
    own = textus.evaluate("runs/first").score("bits_per_byte").value
    assert before["old_bits_per_byte"] == pytest.approx(own, abs=1e-6)
    after = {score.name: score.value for score in found.scores}
    assert after["new_bits_per_byte"] < before["new_bits_per_byte"]
    assert found.facts["replay"] == 0.4
    opened = textus.load("runs/second")
    assert opened.tokenizer.fingerprint == textus.load("runs/first").tokenizer.fingerprint
    record = json.loads(Path("runs/second/training.json").read_text())
    assert any("replay" in textus.inspect("runs/second", window=number).text() for number in range(4))
    again = textus.adapt("runs/first", "other_texts/", method="continue", out="runs/second", settings=FAST)
    assert again.as_dict() == found.as_dict()
    assert record == json.loads(Path("runs/second/training.json").read_text())


def test_windows_of_the_old_text_have_their_share(here: Path) -> None:
    split = Shards.open(here / "runs/first/shards").split("train")
    shown = with_replay(Windows(split, 64, 1, 1), split, 0.25, 1)
    assert isinstance(shown, Mixture) and shown.names == ("new", "replay")
    which, _ = shown.places(range(400))
    assert [int((which == source).sum()) for source in (0, 1)] == [300, 100]
    of_the_old = [number for number in range(16) if shown.places([number])[0][0] == 1]
    for number in range(16):
        documents = [source.document for source in shown.sources(number)]
        assert all((document >= split.num_documents) == (number in of_the_old) for document in documents)
    twice = with_replay(shown, split, 0.5, 1)
    assert twice.names == ("new", "replay", "replay") and twice.weights == pytest.approx((0.375, 0.125, 0.5))


def test_without_the_old_text_it_is_said_what_to_do(here: Path, tmp_path: Path) -> None:
    alone = shutil.copytree("runs/first", tmp_path / "alone", ignore=shutil.ignore_patterns("shards", "corpus"))
    with pytest.raises(ConfigError, match="what this model learnt from is not beside it") as refused:
        textus.adapt(alone, "other_texts/", method="continue", out=tmp_path / "out", settings=FAST)
    assert "replay.share=0" in refused.value.hint
    with pytest.raises(ConfigError, match="training starts from nothing"):
        textus.train("my_texts/", out=tmp_path / "fresh", settings={**FAST, "replay.share": 0.5})
    with pytest.raises(ConfigError, match="given already"):
        settings = {**FAST, "training.start_from": "runs/first"}
        textus.adapt(alone, "other_texts/", method="continue", out=tmp_path / "again", settings=settings)
    settings = {**FAST, "training.steps": 1, "replay.texts": ["my_texts/"], "replay.share": 0.5}
    found = textus.adapt(alone, "other_texts/", method="continue", out=tmp_path / "out", settings=settings)
    assert (tmp_path / "out/replay/shards/manifest.json").exists() and found.scores[-1].name == "old_bits_per_byte"


def test_a_vocabulary_is_extended_and_compared_by_bytes(here: Path) -> None:
    transformers = pytest.importorskip("transformers")
    settings = {**FAST, "vocabulary.add": 12, "vocabulary.least_saving": 3}
    found = textus.adapt("runs/first", "other_texts/", method="continue", out="runs/longer", settings=settings)
    told = found.as_dict()
    assert [score["name"] for score in told["scores"]] == ["new_bits_per_byte", "old_bits_per_byte"]
    before = {score["name"]: score["value"] for score in told["before"]}
    own = textus.evaluate("runs/first").score("bits_per_byte").value
    assert before["old_bits_per_byte"] == pytest.approx(own, abs=1e-6)
    old, new = textus.load("runs/first"), textus.load("runs/longer")
    assert (
        new.tokenizer.vocab_size
        == old.tokenizer.vocab_size + 12
        == told["vocabulary"]["added"] + old.tokenizer.vocab_size
    )
    sizes = told["vocabulary"]["bytes_per_token"]
    assert sizes["after"] > sizes["before"]
    assert "tokens added to the vocabulary" in found.report.text()
    theirs = transformers.AutoTokenizer.from_pretrained("runs/longer")
    text = Path("notes.md").read_text()[:400]
    assert theirs.encode(text, add_special_tokens=False) == new.tokenizer.encode(text)
    again = textus.adapt("runs/first", "other_texts/", method="continue", out="runs/longer", settings=settings)
    assert again.as_dict() == told
    with pytest.raises(ConfigError, match="no token would save 100000 tokens"):
        textus.adapt(
            "runs/first", "other_texts/", method="continue", out="runs/none",
            settings={**settings, "vocabulary.least_saving": 100_000},
        )  # fmt: skip
