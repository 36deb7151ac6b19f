"""A guard that is taught: it finds what it was taught, it is calibrated, and others open it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import textus
from textus.errors import InputError
from textus.safety.network import Network, windows
from textus.verbs.guarding import guard_of
from textus.verbs.load import load


def test_what_can_be_learnt_is_learnt_and_words_stand_beside_it(learnt: Any) -> None:
    rows = {row["name"]: row for row in learnt.facts["rows"]}
    assert list(rows) == ["this model", "words (the floor)"]
    lines = {line["category"]: line for line in learnt.facts["categories"]}
    assert set(lines) == {"hate", "violence"}
    for line in lines.values():
        assert line["auroc"]["value"] > 0.9 and line["auroc_words"]["value"] > 0.9
        assert line["auroc"]["low"] <= line["auroc"]["value"] <= line["auroc"]["high"]
    # of every seventh text nobody has said whether it is violent
    assert lines["violence"]["with"] + lines["violence"]["without"] < lines["hate"]["with"] + lines["hate"]["without"]
    assert "Category by category" in learnt.report.text() and "sexual" in " ".join(learnt.facts["notes"])
    assert learnt.facts["mlcommons"] == {"hate": ["S10"], "violence": ["S1"]}


def test_it_guards_with_the_thresholds_that_it_was_given(learnt: Any) -> None:
    guard = guard_of("default", learnt.directory)
    assert guard.policy.threshold("hate") == learnt.facts["thresholds"]["hate"]
    assert guard.check("b zzz 4", "output").blocked
    assert "hate" in guard.check("b zzz 4", "input").categories
    assert not guard.check("b cloth 5", "output").blocked
    (verdict,) = textus.moderate("c kkk 8", guard=learnt.directory)
    assert "violence" in verdict.categories and not verdict.errors


def test_a_long_text_is_as_bad_as_its_worst_window(learnt: Any) -> None:
    judge = Network.of(load(learnt.directory))
    long = "cloth and thread " * 20
    bad = long + "zzz" + long
    assert judge(bad)["hate"] > judge(long)["hate"]
    first, second = judge.logits(["b zzz 4", bad])
    assert np.allclose(first, judge.logits(["b zzz 4"])[0], atol=1e-5)
    assert first.shape == second.shape == (2,)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 10, 30, 31])
def test_windows_hold_every_token_and_none_is_too_long(count: int) -> None:
    found = windows(list(range(count)), 9)
    assert all(window[0] == 0 and 0 < len(window) <= 9 for window in found)
    assert sorted({token for window in found for token in window}) == list(range(count))
    assert all(set(one[1:]) & set(two[1:]) for one, two in pairwise(found))


def test_transformers_gives_the_probabilities_that_the_guard_does(learnt: Any) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(learnt.directory)
    assert theirs.config.problem_type == "multi_label_classification"
    judge = Network.of(load(learnt.directory))
    tokens = torch.tensor([[judge.tokenizer.end, *judge.tokenizer.encode("b zzz 4")]])
    with torch.inference_mode():
        chances = theirs.eval()(tokens).logits.sigmoid()[0].tolist()
    for number, chance in enumerate(chances):
        assert judge("b zzz 4")[theirs.config.id2label[number]] == pytest.approx(chance, abs=1e-5)


def test_the_same_again_is_opened_and_a_change_is_made_anew(learnt: Any, encoder: Path, quick: dict[str, Any]) -> None:
    data = learnt.directory.parent / "train.jsonl"
    stamp = (learnt.directory / "model.safetensors").stat().st_mtime_ns
    again = textus.adapt(encoder, data, method="moderate", out=learnt.directory, settings=quick)
    assert (learnt.directory / "model.safetensors").stat().st_mtime_ns == stamp
    assert again.facts["thresholds"] == learnt.facts["thresholds"] and again.report.text() == learnt.report.text()


def test_what_is_kept_to_measure_on_is_not_learnt_from(
    encoder: Path, tmp_path: Path, texts: Callable[..., Any]
) -> None:
    rows = texts(20)
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    suite = {"text": rows[13]["text"].upper(), "label": "harmful", "category": "x"}
    (tmp_path / "suite.jsonl").write_text(json.dumps(suite))
    asked = {"data.forbidden": [str(tmp_path / "suite.jsonl")]}
    with pytest.raises(InputError, match=r"a\.jsonl:14: .*suite\.jsonl holds it too"):
        textus.adapt(encoder, tmp_path / "a.jsonl", method="moderate", out=tmp_path / "out", settings=asked)
    assert not (tmp_path / "out" / "model.safetensors").exists()
