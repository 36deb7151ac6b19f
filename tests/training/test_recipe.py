from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus import config
from textus.errors import ConfigError
from textus.training.config import TrainConfig
from textus.training.recipe import HARMLESS, Recipe


def test_nothing_is_left_to_plan() -> None:
    open_keys = {key for key, kind, _ in config.keys(Recipe) if '"auto"' in config.words(kind)}
    assert open_keys <= {"minutes", "parallel"}, "the time is kept as it was asked; processes are counted at the start"
    assert {field.name for field in dataclasses.fields(Recipe)} == {f.name for f in dataclasses.fields(TrainConfig)}
    with pytest.raises(ConfigError, match="`learning_rate` must be a number above 0"):
        Recipe(learning_rate="auto")  # type: ignore[arg-type]


def test_its_settings_keep_their_meanings() -> None:
    assert config.documentation(Recipe) == config.documentation(TrainConfig)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 4096))
def test_windows_fit_the_tokens(batch_tokens: int, micro_batch_tokens: int, context: int) -> None:
    recipe = Recipe(batch_tokens=batch_tokens, micro_batch_tokens=micro_batch_tokens)
    rows, micro = recipe.rows(context), recipe.micro_rows(context)
    assert 1 <= micro <= rows
    assert micro == 1 or micro * context <= micro_batch_tokens
    assert rows == 1 or abs(rows * context - batch_tokens) <= context / 2


def different(name: str) -> Recipe:
    """A recipe that differs in one setting."""
    base = Recipe()
    old = getattr(base, name)
    tries = (
        [not old] if isinstance(old, bool) else [1, 2, 0.5, 0.25, "auto", "off", "on", "fp16", "cuda", "cosine", "muon"]
    )
    for value in [*tries, "best", "last", "stop", 64, "linear", "blocks", "blocking"]:
        try:
            changed = dataclasses.replace(base, **{name: value})
        except ConfigError:
            continue
        if changed != base:
            return changed
    pytest.skip(f"{name} has one value only")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Recipe)])
def test_the_fingerprint_sees_every_setting_that_decides_the_weights(name: str) -> None:
    assert (different(name).fingerprint == Recipe().fingerprint) == (name in HARMLESS)


def test_equal_recipes_have_equal_fingerprints_however_they_are_written() -> None:
    assert Recipe(weight_decay=1).fingerprint == Recipe(weight_decay=1.0).fingerprint
