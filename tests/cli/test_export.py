"""What users give `textus export` by mistake: one sentence, a hint, exit code 2."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["export", "none"], "the following arguments are required: --to"),
        (["export", "none", "--to", "ggfu"], "no format `ggfu`"),
        (["export", "none", "--to", "gguf", "--type", "int4"], "no type `int4` in the format gguf"),
        (["export", "none", "--to", "gguf"], "none: no such directory"),
        (["export", "none", "--to", "card", "--watts", "many"], "--watts: invalid float value"),
        (["doctor", "now"], "unrecognized arguments: now"),
        (["completion", "csh"], "invalid choice: 'csh'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_refused(cli: Any, words: list[str], refusal: str) -> None:
    cli(*words).refused(refusal)
