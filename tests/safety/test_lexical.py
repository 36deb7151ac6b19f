"""The classifier of words learns words, keeps them, and is the same when it is opened again."""

from __future__ import annotations

from pathlib import Path

from textus.safety.lexical import Lexical, learn

BAD = [f"bomb the bridge number {number}" for number in range(12)]
GOOD = [f"weave the cloth number {number}" for number in range(12)]


def test_it_learns_words_and_is_the_same_when_opened_again(tmp_path: Path) -> None:
    labels = {"violence": [True] * 12 + [False] * 12, "hate": [False] * 23 + [True]}
    learnt = learn([*BAD, *GOOD], labels)
    one = learnt("They bomb a bridge")
    assert one["violence"] > 0.5 > learnt("Weave me a cloth")["violence"]
    learnt.save(tmp_path / "guard")
    opened = Lexical.load(tmp_path / "guard")
    assert opened("They bomb a bridge") == one
    assert opened.categories == ("violence", "hate")
    assert list(opened("")) == ["violence", "hate"]
