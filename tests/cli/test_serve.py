"""`textus serve`, as far as nothing is served yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "no model was named"),
        (["nowhere"], "nowhere: no such directory"),
        (["x", "--set", "max_requets=1"], "no setting `max_requets`"),
        (["x", "--set", "max_requests=0"], "`max_requests` must be"),
        (["x", "--threads", "many"], "--threads is many"),
        (["x=.", "--host", "0.0.0.0"], "no keys are asked for"),
        (["x", "--key-file", "nowhere"], "nowhere: No such file"),
        (["x=.", "x=."], "two models are called `x`"),
        (["x=.", "--adapter", "y@z"], "no model `z`"),
    ],
)
def test_what_cannot_be_served_is_refused(cli: Any, words: list[str], error: str) -> None:
    cli("serve", *words).refused(error)


def test_limits_are_listed_with_their_meaning(cli: Any) -> None:
    listed = cli("serve", "--limits", "--json").done().json["settings"]
    assert {"max_requests", "max_prefill_tokens", "request_seconds"} <= {one["key"] for one in listed}
    assert all(one["meaning"] for one in listed)


def test_keys_that_are_too_short_are_refused(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("abc\n", "utf-8")
    cli("serve", "x", "--key-file", str(tmp_path / "keys")).refused("a key of 3 characters")
