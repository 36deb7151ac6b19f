"""What the engine's process of a server opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textus.errors import ConfigError
from textus.verbs.serve_engine import _gate

SETUP: dict[str, Any] = {"guard": "", "policy": "", "audit": "", "audit_key": "", "audit_raw": False, "device": "cpu"}


def test_without_a_guard_nothing_is_judged():
    assert _gate(SETUP).guard is None


def test_a_guard_judges_and_its_decisions_are_logged(tmp_path: Path):
    gate = _gate({**SETUP, "policy": "default", "audit": str(tmp_path / "log")})
    assert gate.admit("a loom", "prompt", {"who": "Ada"}) == "a loom"
    assert '"who":"Ada"' in (tmp_path / "log" / "00000001.jsonl").read_text("utf-8")


def test_a_log_that_would_stay_empty_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="no guard whose decisions it would hold"):
        _gate({**SETUP, "audit": str(tmp_path / "log")})
