"""Who may ask, and how often."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.errors import ConfigError, InputError
from textus.serving.config import Limits
from textus.serving.keys import NOBODY, Bucket, Keys, Rates
from textus.serving.refusal import Refusal

KEY, OTHER = "a-key-of-some-length", "another-key-of-some-length"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    hashed = hashlib.sha256(OTHER.encode()).hexdigest()
    path = tmp_path / "keys"
    path.write_text(f"# names\n\n{KEY} Ada Lovelace\nsha256:{hashed}\n", "utf-8")
    return Keys.read(path)


def test_whoever_shows_a_key_is_known_and_nobody_else(keys: Keys) -> None:
    assert keys.holder(f"Bearer {KEY}") == "Ada Lovelace"
    assert keys.holder(f"bearer  {OTHER} ") == "key 2"
    assert KEY not in repr(keys)
    hashed = hashlib.sha256(OTHER.encode()).hexdigest()
    for shown in ("", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {hashed}", "Bearer \udcff"):
        with pytest.raises(Refusal) as refused:
            keys.holder(shown)
        assert refused.value.status == 401
    assert Keys().holder("") == NOBODY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no keys"),
        ("# nobody\n", "no keys"),
        ("short Ada", "line 1: a key of 5 characters"),
        (f"{KEY}\nsha256:abc", "line 2: not sha256: and 64"),
    ],
)
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "keys").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=words):
        Keys.read(tmp_path / "keys")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Keys.read(tmp_path / "nothing")
    (tmp_path / "keys").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        Keys.read(tmp_path / "keys")


@given(st.integers(1, 100), st.lists(st.floats(0, 30), max_size=60))
def test_no_minute_sees_twice_what_a_bucket_holds(limit: int, pauses: list[float]) -> None:
    now, bucket = 0.0, Bucket(limit, 0.0)
    passed: list[float] = []
    for pause in pauses:
        now += pause
        if not bucket.wait(now):
            bucket.take(1, now)
            passed.append(now)
    for start in passed:
        assert sum(start <= time < start + 60 for time in passed) <= 2 * limit


@given(st.integers(1, 1000), st.floats(0, 5000))
def test_whoever_waits_as_long_as_told_passes(limit: int, taken: float) -> None:
    bucket = Bucket(limit, 0.0)
    bucket.take(taken, 0.0)
    seconds = bucket.wait(0.0)
    assert bucket.wait(seconds + 1e-6) <= 1e-6
    assert seconds == 0 or bucket.wait(seconds / 2) > 0


def test_requests_and_tokens_are_counted_for_each_key() -> None:
    now = 0.0
    rates = Rates(Limits(requests_per_minute=2, tokens_per_minute=100), clock=lambda: now)
    rates.admit("Ada")
    rates.admit("Ada")
    rates.admit("Bob")
    with pytest.raises(Refusal, match="2 requests in a minute") as refused:
        rates.admit("Ada")
    assert refused.value.status == 429 and refused.value.headers == {"retry-after": "30"}
    rates.used("Bob", 150)
    now = 30.0
    rates.admit("Ada")
    with pytest.raises(Refusal, match="100 tokens in a minute"):
        rates.admit("Bob")
    now = 31.0
    rates.admit("Bob")


def test_without_limits_nothing_is_counted() -> None:
    rates = Rates(Limits())
    for _ in range(1000):
        rates.admit("Ada")
        rates.used("Ada", 10**9)
