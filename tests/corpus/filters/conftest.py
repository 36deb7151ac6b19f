"""What the tests of every family of measures share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from textus.corpus.batch import TextBatch

Check = Callable[[ModuleType, Callable[[str], Mapping[str, Any]], list[str]], None]


@pytest.fixture(scope="session")
def hold_to_definition() -> Check:
    """Hold every measure of a family, on every text, against its definition in plain Python."""

    def check(family: ModuleType, oracle: Callable[[str], Mapping[str, Any]], given_texts: list[str]) -> None:
        found = family.measure(TextBatch(given_texts))
        assert list(found) == [feature.name for feature in family.FEATURES]
        for number, text in enumerate(given_texts):
            for name, wanted in oracle(text).items():
                assert float(found[name][number]) == pytest.approx(wanted, rel=1e-6, nan_ok=True), (name, text)

    return check
