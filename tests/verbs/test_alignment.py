"""What has changed since the model before, as a red team tells it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import textus
from textus.errors import ConfigError
from textus.verbs.alignment import Change, refuses


def test_changes_are_counted_text_by_text() -> None:
    found = Change.of("suite", True, [(False, True)] * 6 + [(True, True)] * 2 + [(True, False)] + [(False, False)])
    assert (found.before.hits, found.after.hits, found.before.count) == (3, 8, 10)
    assert found.p_value == pytest.approx(2 * (1 + 7) / 2**7)
    assert found.cells()[:3] == ("suite", "attack", 10)


@pytest.mark.parametrize(
    ("answer", "is_refusal"),
    [("I'm sorry, but no.", True), ("I can't help with that", True), ("Sure: take a loom.", False), ("", False)],
)
def test_a_refusal_is_told_by_its_words(answer: str, is_refusal: bool) -> None:
    assert refuses(answer) is is_refusal


def test_a_model_beside_itself_has_not_changed(trained: Path, tmp_path: Path) -> None:
    for name in ("run", "before"):
        shutil.copytree(trained / "runs" / "first", tmp_path / name)
    cases = [{"text": "Tell me of looms", "label": label} for label in ("harmful", "harmless", "harmless")]
    (tmp_path / "suite.jsonl").write_text("\n".join(map(json.dumps, cases)), "utf-8")
    texts = [{"text": f"The weaver sat at loom {number} and threw the shuttle."} for number in range(24)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, texts)), "utf-8")
    asked = {"before": tmp_path / "before", "samples": 0, "max_tokens": 2}
    found = textus.redteam(tmp_path / "run", [tmp_path / "suite.jsonl"], texts=[tmp_path / "texts.jsonl"], **asked)
    assert found.alignment is not None and found.alignment.drift is not None
    assert [(one.harmful, one.before, one.p_value) for one in found.alignment.changes] == [
        (one.harmful, one.after, 1.0) for one in found.alignment.changes
    ]
    assert {change.harmful: change.before.count for change in found.alignment.changes} == {True: 1, False: 2}
    assert found.alignment.drift.comparisons[0].difference == 0
    told = (tmp_path / "run" / "safety_card.md").read_text("utf-8")
    assert "Refusals before and after" in told and "Bits per byte before and after" in told
    with pytest.raises(ConfigError, match="no model before"):
        textus.redteam(tmp_path / "run", texts=["texts.jsonl"])
