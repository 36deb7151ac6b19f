"""Examples of harms are read as they are meant, and refused by their line where they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textus.errors import CorpusError, InputError, TextusError
from textus.safety.examples import SCORED, Judged, learnable, read_judged
from textus.safety.settings import ModerateData


def read(tmp_path: Path, *rows: Any) -> list[Judged]:
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read_judged([tmp_path / "x.jsonl"], ModerateData())


def test_what_is_not_named_is_not_known_and_a_list_names_all(tmp_path: Path) -> None:
    one, two, three = read(
        tmp_path,
        {"text": "a", "labels": {"violence": 1, "hate": False}},
        {"text": "b", "labels": ["hate/threatening"]},
        {"text": "c", "labels": []},
    )
    # no hate, so no threat out of hate
    assert one.known == {"violence": True, "hate": False, "hate/threatening": False}
    assert one.numbers(["hate", "sexual", "violence"]) == [0, -1, 1]
    assert {name for name, holds in two.known.items() if holds} == {"hate", "hate/threatening"}
    assert set(two.known) == set(SCORED) == set(three.known) and not any(three.known.values())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "a", "labels": {"hatred": 1}}, r"x\.jsonl:1: no category `hatred`"),
        ({"text": "a", "labels": {"hate": 2}}, "`hate` is 2"),
        ({"text": "a", "labels": {"hate": False, "hate/threatening": True}}, "and not `hate`"),
        ({"text": "a", "labels": "hate"}, "`labels` is 'hate'"),
        ({"text": "a", "labels": [1]}, "`labels` is"),
        ({"text": " ", "labels": []}, "`text` is empty"),
        ({"text": "a"}, "no `labels`"),
        ({"prompt": "How do I kill a process?", "type": "homonyms", "labels": []}, "the form of XSTest"),
        ({"test_case": "a", "label_gold": "hateful", "labels": []}, "the form of HateCheck"),
        ({"prompt": "a", "S": 1, "H": 0}, "the form of OpenAI's moderation set"),
    ],
)
def test_bad_examples_are_refused(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, row)


def test_what_all_examples_have_cannot_be_learnt() -> None:
    some = [Judged("", "a", {"hate": True, "illicit": False}), Judged("", "b", {"illicit": True})]
    assert learnable(some) == ("illicit",)
    with pytest.raises(CorpusError, match="harmless"):
        learnable(some[:1])
    assert issubclass(CorpusError, TextusError)
