"""`textus adapt` and `textus label` as they are typed, and what they refuse."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

QUICK = (
    "training.seeds=1",
    "training.epochs=1",
    "training.learning_rates=[3e-3]",
    "training.threads=1",
    "training.device=cpu",
    "beside.random_init=false",
)


def lines(name: str, rows: list[Any]) -> Path:
    Path(name).write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return Path(name)


def labelled(count: int = 40) -> list[dict[str, Any]]:
    return [{"text": f"{number} {('bad', 'fine')[number % 2]} film", "label": number % 2} for number in range(count)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def stars(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from textus.cli.main import main

    folder = tmp_path_factory.mktemp("stars")
    path = folder / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, labelled())))
    words = [str(trained / "runs/first"), str(path), "--method", "classify", "-o", str(folder / "stars"), *QUICK]
    assert main(["adapt", *words]) == 0
    return folder / "stars"


def test_labels_in_words_in_json_from_stdin_and_from_a_file(
    cli: Any, stars: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = cli("label", stars, "a fine film", "a bad film").done().out.splitlines()
    assert [line.split("\t")[1] for line in told] == ["a fine film", "a bad film"]
    value = cli("label", stars, "a fine film", "--json").done().json
    (first,) = value["texts"]
    assert first["text"] == "a fine film" and len(first["labels"]) == 2
    assert sum(answer["probability"] for answer in first["labels"]) == pytest.approx(1)
    monkeypatch.setattr("sys.stdin", io.StringIO("a fine film\n\nanother\n"))
    out = cli("label", stars, "-", "--jsonl", "--top-k", "1").done().out.splitlines()
    assert [json.loads(line)["text"] for line in out] == ["a fine film", "another"]
    path = lines("in.jsonl", [{"text": "a fine film"}])
    assert cli("label", stars, "--file", path, "--json").done().json == value


def test_the_result_in_json_and_what_it_is_adapted_to_again(cli: Any, stars: Path, trained: Path, here: Path) -> None:
    path = lines("a.jsonl", labelled())
    words = ("adapt", trained / "runs/first", path, "--method", "classify", "-o", stars, *QUICK, "--json")
    value = cli(*words).done().json
    assert value["method"] == "classify" and value["directory"] == str(stars)
    assert [score["name"] for score in value["scores"]] == ["accuracy", "macro_f1", "mcc", "f1"]


def test_settings_are_listed_printed_and_read(cli: Any, trained: Path, here: Path) -> None:
    run = trained / "runs/first"
    for method in ("classify", "tag", "embed"):
        keys = [
            setting["key"]
            for setting in cli("adapt", run, "--method", method, "--settings", "--json").done().json["settings"]
        ]
        assert "training.epochs" in keys and "data.test" in keys
    text = cli("adapt", run, "--method", "embed", "--print", "temperature=0.1").done().out
    Path("my.toml").write_text(text)
    again = cli("adapt", run, "my.toml", "--method", "embed", "--print", "training.seed=9").done().out
    assert again == text.replace("seed = 1\n", "seed = 9\n").replace("split_seed = 9", "split_seed = 1")


REFUSED: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "no examples": (None, (), "no examples were given"),
    "an empty file": ([], ("a.jsonl",), "a.jsonl: no example in it"),
    "no such file": (None, ("b.jsonl",), "b.jsonl: no such file"),
    "a wrong column": (labelled(), ("a.jsonl", "data.text=txt"), "a.jsonl:1: no `txt`; there is `text`, `label`"),
    "a label that is missing": ([*labelled(), {"text": "x"}], ("a.jsonl",), "a.jsonl:41: no `label`"),
    "one label only": ([{"text": str(n), "label": 1} for n in range(20)], ("a.jsonl",), "all have the label '1'"),
    "a text too long": ([*labelled(), {"text": "word " * 99, "label": 1}], ("a.jsonl",), "a.jsonl:41: .* at most 64"),
    "too few": (labelled(2), ("a.jsonl",), "2 examples are too few"),
    "an unknown setting": (labelled(), ("a.jsonl", "training.epoch=3"), "no setting `training.epoch`"),
    "a wrong pooling": (labelled(), ("a.jsonl", "pooling=mean"), "transformers classifies texts by last"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(cli: Any, trained: Path, here: Path, what: str) -> None:
    rows, words, error = REFUSED[what]
    if rows is not None:
        lines("a.jsonl", rows)
    cli("adapt", trained / "runs/first", *words, "--method", "classify", "-o", "out").refused(error)
    assert not Path("out").exists()


def test_labels_that_were_not_learnt_are_refused(cli: Any, trained: Path, here: Path) -> None:
    lines("a.jsonl", labelled())
    lines("test.jsonl", [{"text": "a", "label": 1}, {"text": "b", "label": 7}])
    words = ("a.jsonl", "data.test=test.jsonl", "--method", "classify", "-o", "out", *QUICK)
    cli("adapt", trained / "runs/first", *words).refused(r"test.jsonl:2: label '7' is not among those learnt: 0, 1")


def test_directories_and_methods_that_cannot_be_are_refused(cli: Any, trained: Path, here: Path) -> None:
    path, run = lines("a.jsonl", labelled()), trained / "runs/first"
    cli("adapt", run, path, "--method", "classify", "-o", run).refused("take the place of the one it begins with")
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    cli("adapt", run, path, "--method", "classify", "-o", "mine").refused(r"no adaptation has made \(notes.txt\)")
    cli("adapt", "nowhere", path, "--method", "classify", "-o", "out").refused("nowhere.*: no such")
    cli("adapt", run, path, "--method", "guess").refused("invalid choice: 'guess'")
    cli("adapt", run, "a.toml", "b.toml", "--method", "tag").refused("b.toml: a second settings file")


def test_labels_are_asked_only_of_models_that_have_some(cli: Any, stars: Path, trained: Path, here: Path) -> None:
    cli("label", trained / "runs/first", "a").refused("this model predicts tokens, and gives no labels")
    cli("label", stars, "word " * 99).refused("text 1: .* at most 64")
    cli("label", stars, "a", "--top-k", "0").refused("top_k")
    cli("label", stars).refused("give texts, or a file of them")
    cli("label", stars, "--file", lines("b.jsonl", [{"txt": "a"}])).refused("b.jsonl:1: no `text`, and no list of")
    for words in (("generate", stars, "Once"), ("score", stars, "a"), ("evaluate", stars, "b.jsonl")):
        cli(*words).refused("label or compare texts|predicts no tokens|no text|no column")
