"""Commands for models that read both ways: what they print, and what they refuse."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

BLANK = "The <mask> of a class is a <mask>."


def test_fill_gives_candidates_for_each_blank(cli: Any, both_ways: Path) -> None:
    for run in ("masked", "hybrid", "diffusion"):
        value = cli("fill", both_ways / "runs" / run, BLANK, "--top-k", "3", "--json").done().json
        assert [len(blank) for blank in value["masks"]] == [3, 3]
        for blank in value["masks"]:
            chances = [candidate["probability"] for candidate in blank]
            assert chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1
            assert set(blank[0]) == {"token", "probability"}
    assert "blank 2" in cli("fill", both_ways / "runs/masked", BLANK).done().out


def test_a_model_that_reads_both_ways_writes_too(cli: Any, both_ways: Path) -> None:
    words = ("fill", both_ways / "runs/diffusion", "A class", "--write", "8", "--temperature", "0.9", "--json")
    text = cli(*words, "--seed", "1").done().json["text"]
    assert text.startswith("A class") and text == cli(*words, "--seed", "1").done().json["text"]
    assert cli("fill", both_ways / "runs/hybrid", "A class", "--write", "4", "--steps", "2").done().out.strip()


def test_score_says_what_its_sums_are(cli: Any, both_ways: Path, trained: Path) -> None:
    texts = ("A class is a statement.", "Statement a is class a.")
    for run, method, name in (
        (trained / "runs/first", "auto", "log_likelihood"),
        (both_ways / "runs/hybrid", "auto", "log_likelihood"),
        (both_ways / "runs/hybrid", "original", "pseudo_log_likelihood"),
        (both_ways / "runs/masked", "auto", "pseudo_log_likelihood_word_l2r"),
    ):
        found = cli("score", run, *texts, "--method", method, "--json").done().json["texts"]
        assert [one["text"] for one in found] == list(texts) and {one["name"] for one in found} == {name}
        for one in found:
            assert one["value"] == pytest.approx(sum(token["logprob"] for token in one["tokens"]))
            assert "".join(token["token"] for token in one["tokens"]) == one["text"]


def test_embed_takes_texts_from_a_pipe(cli: Any, both_ways: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\ntwo\n"))
    value = cli("embed", both_ways / "runs/hybrid", "-", "--dimensions", "5", "--json").done().json
    assert len(value["embeddings"]) == 2 and value["dimensions"] == 5
    assert all(sum(x * x for x in vector) == pytest.approx(1, abs=1e-5) for vector in value["embeddings"])
    out = cli("embed", both_ways / "runs/masked", "one", "--raw").done().out
    assert len(out.split()) == 32
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    cli("embed", both_ways / "runs/masked", "-").refused("stdin: holds no text")


def test_the_leak_test_is_a_command(cli: Any, both_ways: Path, trained: Path) -> None:
    assert "causal" in cli("inspect", trained / "runs/first", "--leaks").done().out
    told = cli("inspect", both_ways / "runs/hybrid", "--leaks", "--json").done().json
    assert [row["reading"] for row in told["sections"]["No leak was found"]] == ["causal", "bidirectional"]


def test_a_window_is_shown_as_it_is_asked(cli: Any, both_ways: Path) -> None:
    lines = cli("inspect", both_ways / "runs/masked", "--window", "0").done().out.splitlines()
    rows = [line.rsplit(" | ", 1) for line in lines if " | " in line]
    hidden = [label for token, label in rows if token.strip() == "'<mask>'"]
    assert hidden and "·" not in hidden
    asked = [label for _, label in rows if label not in ("·", "label")]
    assert round(0.5 * 64) == len(asked)  # so short a run is asked for more than 30 %
    shown = cli("inspect", both_ways / "runs/hybrid", "--window", "0", "--split", "validation").done().out
    assert " | " in shown


REFUSED = {
    "no blank": (("fill", "masked", "nothing is missing"), "the text has no <mask>"),
    "too many blanks": (("fill", "hybrid", "<mask>" * 65), "65 blanks, and at most 64"),
    "too long": (("fill", "masked", "<mask>" + " word" * 200), "the model reads at most 64"),
    "no number": (("fill", "masked", BLANK, "--top-k", "0"), "top_k"),
    "what changes nothing": (("fill", "masked", BLANK, "--steps", "9"), "--steps is for --write"),
    "a causal model asked to fill": (("fill", "first", BLANK), "left to right only, and filling a blank needs both"),
    "a causal model's pseudo-likelihood": (("score", "first", "a", "--method", "word-l2r"), "left to right only"),
    "an encoder's likelihood": (("score", "masked", "a", "--method", "causal"), "reads both ways, and has no log"),
    "an empty text": (("score", "masked", ""), "the text is empty"),
    "a text too long to score": (("score", "hybrid", "word " * 200), "the model reads at most 64"),
    "a text too long to embed": (("embed", "masked", "a", "word " * 200), "text 2 has .* reads at most 64"),
    "a first state that saw nothing": (("embed", "first", "a", "--pooling", "cls"), "has seen nothing"),
    "too many dimensions": (("embed", "masked", "a", "--dimensions", "33"), "dimensions"),
    "an encoder asked to write": (("generate", "masked", "Once"), "reads both ways"),
    "more to write than is read": (("fill", "masked", "A", "--write", "70"), "the model reads at most 64"),
    "less than nothing to write": (("fill", "masked", "A", "--write", "-1"), "--write is -1"),
    "no steps": (("fill", "masked", "A", "--write", "2", "--steps", "0"), "steps"),
    "no model": (("fill", "nowhere", BLANK), "no such directory"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(cli: Any, both_ways: Path, trained: Path, what: str) -> None:
    (verb, run, *words), error = REFUSED[what]
    folder = trained if run == "first" else both_ways
    cli(verb, folder / "runs" / run, *words).refused(error)


def test_a_tokenizer_without_a_mask_is_refused(cli: Any, both_ways: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((both_ways / "runs/masked" / name).read_bytes())
    values = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    text = json.dumps(values).replace("<mask>", "<hole>")
    (tmp_path / "tokenizer.json").write_text(text, "utf-8")
    cli("fill", tmp_path, BLANK).refused("the tokenizer has no token `<mask>`")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("objective.mix=lots", "two whole numbers"),
        ("objective.mask_rate=0", "`objective.mask_rate` must be a number in"),
        ("objective.random_share=0.5", "there is 1 to share"),
        ("objective.mask_unit=letter", "`objective.mask_unit` must be"),
        ("model.num_kv_heads=3", "cannot share|cannot have"),
    ],
)
def test_settings_that_cannot_be_are_refused(cli: Any, texts: Path, setting: str, words: str) -> None:
    objective = ("objective.name=masked", "model.num_heads=4", "model.hidden_size=32", "model.num_layers=1")
    cli("train", texts, "-o", "run", *objective, "training.steps=2", setting).refused(words)
