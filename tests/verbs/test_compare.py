from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import textus
from textus import config
from textus.cli.main import main
from textus.errors import NotComparable
from textus.verbs.compare import verdict
from textus.verbs.settings import kept_settings

A, B, SMALLER, ELSEWHERE = (Path("runs") / name for name in ("first", "second", "smaller", "elsewhere"))


@pytest.fixture(scope="module")
def runs(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside the first run: one of another seed, one of another tokenizer, one of other texts."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("compare") / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        kept = kept_settings(A)
        changes: dict[Path, dict[str, Any]] = {
            B: {"training.seed": 7},
            SMALLER: {"tokenizer.vocab_size": 300},
            ELSEWHERE: {"inputs": ("other_texts", "notes.md"), "tokenizer.vocab_size": 300},
        }
        for place, change in changes.items():
            textus.train(out=place, settings=config.replace(kept, change))
    return folder


@pytest.fixture(autouse=True)
def here(runs: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.chdir(runs)


def test_the_difference_is_that_of_the_evaluations() -> None:
    found = textus.compare([A, B])
    scores = [textus.evaluate(one).score("perplexity").value for one in (A, B)]
    (one,) = found.comparisons
    assert one.difference == pytest.approx(scores[1] - scores[0], rel=1e-6)
    assert one.low <= one.difference <= one.high
    assert [model.name for model in found.contenders] == ["first", "second"]
    record = json.loads((A / "training.json").read_text())
    assert (found.contenders[0].tokens_seen, found.contenders[0].seconds) == (record["tokens"], record["seconds"])
    assert found.contenders[0].parameters == json.loads((A / "result.json").read_text())["parameters"]


def test_turning_the_models_round_turns_the_difference_round() -> None:
    (one,), (other,) = textus.compare([A, B]).comparisons, textus.compare([B, A]).comparisons
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == other.p_value and one.win_rate == pytest.approx(1 - other.win_rate)


def test_other_tokenizers_are_compared_in_bits_per_byte_alone() -> None:
    with pytest.raises(NotComparable, match="smaller and first have different tokenizers") as refused:
        textus.compare([A, SMALLER])
    assert "--metric bits_per_byte" in refused.value.hint
    found = textus.compare([A, SMALLER], metric="bits_per_byte")
    scores = [textus.evaluate(one).score("bits_per_byte").value for one in (A, SMALLER)]
    assert found.comparisons[0].difference == pytest.approx(scores[1] - scores[0], rel=1e-6)
    assert "the tokenizers differ" in found.report().text()


def test_other_texts_are_not_compared_at_all_until_both_read_the_same() -> None:
    with pytest.raises(NotComparable, match="validation parts of elsewhere and first are different") as refused:
        textus.compare([A, ELSEWHERE], metric="bits_per_byte")
    assert "--texts" in refused.value.hint
    found = textus.compare([A, ELSEWHERE], "other_texts", metric="bits_per_byte")
    seen = [model.evaluation.contamination for model in found.contenders]
    assert seen[0] and seen[1] and seen[0].overlap < seen[1].overlap
    assert found.contenders[0].evaluation.num_bytes == found.contenders[1].evaluation.num_bytes


def test_several_models_stand_beside_the_first() -> None:
    found = textus.compare([A, B, SMALLER], metric="bits_per_byte").as_dict()
    assert [row["model"] for row in found["comparisons"]] == ["second", "smaller"]
    assert all(row["p_value_holm"] >= row["p_value"] for row in found["comparisons"])


def test_the_command_says_it_in_the_agreed_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", str(A), str(B), "--json", "--report", str(page)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"difference", "low", "high", "p_value", "metric"} <= set(told) and told["metric"] == "perplexity"
    assert len(told["models"][0]["samples"]) == len(told["prompts"]) > 0
    html = page.read_text()
    assert "<svg" in html and "Each goes on: " in html and "second" in html
    assert main(["compare", str(A), str(B)]) == 0
    assert "tokens learnt" in capsys.readouterr().out


def test_a_refusal_ends_with_1_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(A), str(SMALLER)]) == 1
    assert "hint: compare bits per byte" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("models", "texts", "message"), [([A], (), "one model"), ([A, A], (), "named twice"), ([A, B], "x", "x: no such")]
)
def test_what_makes_no_comparison_is_said(models: list[Path], texts: Any, message: str) -> None:
    with pytest.raises(textus.TextusError, match=message):
        textus.compare(models, texts)


def test_a_metric_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(A), str(B), "--metric", "speed"]) == 2
    assert "invalid choice" in capsys.readouterr().err


def test_models_that_read_both_ways_are_compared_by_what_belongs_to_them(
    both_ways: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(both_ways / "runs")
    with pytest.raises(NotComparable, match="masked reads both ways") as refused:
        textus.compare(["hybrid", "masked"])
    assert "bits_per_byte_bound" in refused.value.hint and "masked_loss" in refused.value.hint
    found = textus.compare(["masked", "diffusion"], metric="masked_loss")
    scores = [textus.evaluate(one).score("masked_loss").value for one in ("masked", "diffusion")]
    assert found.comparisons[0].difference == pytest.approx(scores[1] - scores[0], rel=1e-6)
    assert "masked loss" in found.report().text() and found.contenders[0].samples[0]
    with pytest.raises(NotComparable, match="windows of another kind"):
        textus.compare(["hybrid", "masked"], metric="masked_loss")


def test_a_bound_tells_in_one_direction_only(both_ways: Path, tmp_path: Path) -> None:
    runs, texts = both_ways / "runs", tmp_path / "texts"
    texts.mkdir()
    text = (both_ways / "notes.md").read_text()
    for number in range(20):
        (texts / f"{number}.txt").write_text(text[number * 60 : number * 60 + 200])
    found = textus.compare([runs / "hybrid", runs / "diffusion"], texts, metric="bits_per_byte_bound")
    exact, bound = found.contenders
    assert [one.measured.is_bound for one in (exact, bound)] == [False, True]
    evaluation = textus.evaluate(runs / "diffusion", texts)
    (one,) = found.comparisons
    per_byte = exact.measured.units.nats.sum() / exact.measured.units.num_bytes.sum() / math.log(2)
    assert one.difference == pytest.approx(evaluation.score("bits_per_byte_bound").value - per_byte, rel=1e-6)
    assert per_byte < exact.evaluation.score("bits_per_byte").value
    assert "\u2264 " in found.report().text() and found.as_dict()["models"][1]["is_bound"]
    for difference, order, words in (
        (1.0, (exact, bound), "a bound may be loose"),
        (-1.0, (exact, bound), "better"),
        (1.0, (bound, exact), "worse"),
        (-1.0, (bound, exact), "a bound may be loose"),
        (1.0, (bound, bound), "a higher bound"),
    ):
        told = replace(one, difference=difference, low=difference - 0.1, high=difference + 0.1)
        assert words in verdict(told, *order)
    with pytest.raises(NotComparable, match="too few to compare diffusion and hybrid"):
        textus.compare([runs / "hybrid", runs / "diffusion"], both_ways / "notes.md", metric="bits_per_byte_bound")


def test_a_causal_model_has_no_masked_loss() -> None:
    with pytest.raises(NotComparable, match="first reads from left to right only"):
        textus.compare([A, B], metric="masked_loss")
