from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from textus import config
from textus.errors import ConfigError
from textus.evaluation.ablation import OFF, Ablation, Arm, Change, read_changes
from textus.verbs.settings import RunSettings

FACTS = {
    "documents": 9,
    "megabytes": 0.1,
    "tokens": 900,
    "epochs": 2.0,
    "vocabulary": 300,
    "bytes a token": 3.0,
    "held out, seen": 0.0,
    "runs of words, seen": 0.0,
}
POOL = {"how": "chosen", "held_out": {"documents": 4, "bytes": 40}, "shown": {"documents": 1, "bytes": 9}}


def ablation(*shifts: float) -> Ablation:
    """An ablation with a change for each shift, of so many nats a document."""
    names = [Change(), *(Change((f"corpus.filter.rules=words>={number}",)) for number in range(len(shifts)))]
    noise = np.random.default_rng(0).normal(0, 0.01, (3, 30))
    arms = (Arm(name, Path("a"), FACTS, 5 + shift + noise) for name, shift in zip(names, (0.0, *shifts), strict=True))
    return Ablation(Path("a"), tuple(arms), (1, 2, 3), np.full(30, 10), "document", POOL, {"steps": 3})


def test_every_step_that_can_be_left_out_is_a_setting() -> None:
    for name, item in OFF.items():
        (change,) = read_changes([name])
        assert change.items == (item,)
        assert isinstance(config.override(RunSettings(), item), RunSettings)


def test_values_may_hold_commas_and_signs() -> None:
    words = ['corpus.filter.languages=["en","de"],corpus.filter.rules=words>=1+corpus.deduplicate=none', "mixture.a=b"]
    assert [change.items for change in read_changes(words)] == [
        ('corpus.filter.languages=["en","de"]',),
        ("corpus.filter.rules=words>=1", "corpus.deduplicate=none"),
        ("mixture.a=b",),
    ]


def test_folders_have_names_that_any_system_takes() -> None:
    (change,) = read_changes(['corpus.filter.languages=["en/..","de"]'])
    assert change.folder == "corpus.filter.languages=_en_.._de_"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to vary"),
        (["training.steps=3"], "only what decides the training text"),
        (["corpus.validation_fraction=0.1"], "all arms share"),
        (["corpus.work.workers=1"], "all arms share"),
        (["corpus.priority"], "what is it to be"),
        (["corpus.deduplicate=none,corpus.deduplicate=none"], "asked for twice"),
    ],
)
def test_what_cannot_be_varied_is_said(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_changes(words)


def test_the_report_says_which_changes_cost_and_which_cannot_be_told() -> None:
    found = ablation(0.5, 0.0, -0.5)
    rows = dict(found.report().sections)["What each change does to held-out bits per byte"].as_dict()
    assert [row["so the change"] for row in rows] == ["costs bits", "cannot be told from none", "saves bits"]
    assert "as dirty as it is" in found.report().text()
    assert json.loads(json.dumps(found.as_dict()))["effects"][0]["difference"] == pytest.approx(0.5 / np.log(2) / 10)
