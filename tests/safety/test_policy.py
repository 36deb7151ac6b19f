"""Policies are read from TOML, and what is wrong in one is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.errors import ConfigError, InputError
from textus.safety import policy
from textus.safety.taxonomy import CATEGORIES, HARMS


def parsed(text: str, directory: Path = Path()) -> policy.Policy:
    return policy.parse(text, "p.toml", directory)


def test_the_default_blocks_what_no_score_may_excuse_and_redacts_secrets() -> None:
    rules = policy.load()
    assert rules.action("sexual/minors", "input") == rules.action("sexual/minors", "output") == "block"
    assert rules.action("secret", "output") == "redact"
    assert rules.action("violence", "output") == "score"  # not named
    assert rules.fail == "closed"
    assert rules.threshold("sexual/minors") == 0.5 and not rules.thresholds  # a classifier brings its own
    assert rules.threshold("hate") == 0.5


@given(
    st.dictionaries(st.sampled_from(CATEGORIES), st.sampled_from(policy.ACTIONS)),
    st.dictionaries(st.sampled_from(tuple(HARMS)), st.floats(0, 1)),
)
def test_every_category_can_be_named_on_both_sides(
    actions: dict[str, policy.Action], chances: dict[str, float]
) -> None:
    lines = [f'"{name}" = "{action}"' for name, action in actions.items()]
    levels = [f'"{name}" = {chance!r}' for name, chance in chances.items()]
    rules = parsed("\n".join(["[input]", *lines, "[output]", *lines, "[thresholds]", *levels]))
    assert all(rules.action(name, side) == action for name, action in actions.items() for side in policy.SIDES)
    assert rules.thresholds == chances
    assert parsed("fail = 'open'").fingerprint != rules.fingerprint


def test_lists_come_from_the_policy_and_from_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# ours\n\nProject Nightingale\nfoo\n", "utf-8")
    rules = parsed('[blocklist.ours]\nwords = ["foo", "bar"]\nfile = "words.txt"\noutput = "redact"', tmp_path)
    assert rules.blocklists == (policy.Blocklist("ours", ("foo", "bar", "Project Nightingale"), "block", "redact"),)
    assert rules.action("blocklist/ours", "output") == "redact"


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("[input]\nhat = 'block'", "no category `input.hat`", "did you mean `hate`?"),
        ("[output]\nhate = 'blok'", '`output.hate` must be "allow" or', "did you mean output.hate=block?"),
        ("[thresholds]\nhate = 1.5", "`thresholds.hate` must be a number in [0, 1]; got 1.5", ""),
        ("[thresholds]\nemail = 0.5", "no category `thresholds.email`", ""),
        ("fail = 'maybe'", "`fail` must be", ""),
        ("imput = 3", "no setting `imput`", "did you mean `input`?"),
        ("input = 3", "`input` is a table; got 3", "[input]"),
        ("[windows.output]\nstep = 0", "`windows.output.step` must be", ""),
        ("[windows]\noutput = 3", "`windows.output` is a table", ""),
        ("[blocklist]\nours = 3", "`blocklist.ours` is a table", ""),
        ("[blocklist.ours]", "`blocklist.ours` has no words", ""),
        (f"[blocklist.ours]\nwords = ['{'a' * 300}']", "a phrase of 300 characters, and 256 are read ahead", "after"),
        ("[input", "not valid TOML", "--print"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsed(text)
    assert raised.value.message.startswith("p.toml: ")
    assert words in raised.value.message
    assert raised.value.hint
    assert hint in raised.value.hint


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.toml: No such file"):
        policy.load(tmp_path / "no.toml")
    with pytest.raises(InputError, match=r"no\.txt: No such file"):
        parsed('[blocklist.ours]\nfile = "no.txt"', tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"latin\.txt: not UTF-8 at byte 3"):
        parsed('[blocklist.ours]\nfile = "latin.txt"', tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"name = 'caf\xe9'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        policy.load(tmp_path / "latin.toml")
