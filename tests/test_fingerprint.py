from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus import fingerprint
from textus.config import Positive, Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@dataclass(frozen=True)
class Rate(Settings):
    rate: Positive = 1.0
    names: tuple[str, ...] = ()


@given(st.binary())
def test_a_fingerprint_is_what_sha256sum_prints(data: bytes) -> None:
    assert fingerprint.of_bytes(data) == fingerprint.of_bytes(memoryview(data)) == hashlib.sha256(data).hexdigest()


def test_a_file_is_hashed_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0text" * 100_000)
    assert fingerprint.of_file(tmp_path / "file") == fingerprint.of_bytes(b"\0text" * 100_000)


@given(st.text(st.characters(), max_size=8), st.text(st.characters(), max_size=8))
def test_texts_with_lone_surrogates_have_fingerprints_of_their_own(one: str, other: str) -> None:
    assert (fingerprint.of_text(one) == fingerprint.of_text(other)) == (one == other)
    assert fingerprint.of_text("\ud83d\ude00") != fingerprint.of_text("😀")


@given(st.dictionaries(st.text(), JSON, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_count(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert fingerprint.of_value({key: value[key] for key in keys}) == fingerprint.of_value(value)


@given(st.lists(st.text(), max_size=5), st.lists(st.text(), max_size=5))
def test_parts_do_not_run_together(one: list[str], other: list[str]) -> None:
    assert (fingerprint.of_parts(one) == fingerprint.of_parts(other)) == (one == other)


def test_equal_settings_are_equal_however_they_are_written() -> None:
    loose = Rate(rate=1, names=["a"])  # type: ignore[arg-type]
    assert fingerprint.of_value(loose) == fingerprint.of_value(Rate(1.0, ("a",)))
    assert fingerprint.of_value(Rate(2.0)) != fingerprint.of_value(Rate(1.0))


def test_paths_have_fingerprints_and_objects_have_none() -> None:
    assert fingerprint.of_value({"at": Path("a/b")}) == fingerprint.of_value({"at": "a/b"})
    with pytest.raises(TypeError, match="set has no fingerprint"):
        fingerprint.of_value({"at": {1}})


def test_the_code_has_one_fingerprint_in_every_process() -> None:
    code = "from textus import fingerprint; print(fingerprint.of_code())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprint.of_code()
    assert len(fingerprint.short(fingerprint.of_code())) == fingerprint.SHORT
