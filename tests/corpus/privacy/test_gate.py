"""The look at a glance overlooks no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.privacy.gate import may_hold_numbers, may_hold_secrets
from textus.corpus.privacy.numbers import numbers
from textus.corpus.privacy.secrets import secrets

RANDOM = "a1B2c3D4e5F6g7H8i9J0"
FOUND = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE",
    f"glpat-{RANDOM}", f"xoxb-{RANDOM}", f"https://hooks.slack.com/services/{RANDOM}", f"sk-proj-{RANDOM}",
    f"AIza{RANDOM}a1B2c3D4e5F6g7H", f"eyJ{RANDOM}.eyJ{RANDOM}.{RANDOM}", f"ghp_{RANDOM}{RANDOM}",
    f"github_pat_{RANDOM}{RANDOM}{RANDOM}", f"hf_{RANDOM}{RANDOM}", f"sk_live_{RANDOM}", f"rk_test_{RANDOM}",
    f'API_KEY = "{RANDOM}"', f"secret: '{RANDOM}'", f"Password={RANDOM}x", f"my_token => {RANDOM}x",
    f"CREDENTIALS := {RANDOM}x", f'api_\u212aey="{RANDOM}"',
)  # fmt: skip
PIECES = ("-", "--", "_", ".", "=", ":", " ", "\n", "key", "secret", "\u212a", "é", "漢", "ļ", "a1B2c3D4", '"', "x")
texts = st.lists(st.sampled_from((*FOUND, *PIECES)), max_size=8).map("".join)


@pytest.mark.parametrize("text", FOUND)
def test_every_kind_of_secret_is_seen(text: str) -> None:
    assert list(secrets(text))
    batch = TextBatch(["To be: or not to be.", f"before {text} behind", "an x-ray"])
    assert may_hold_secrets(batch).tolist() == [False, True, False]


NUMBERS = (
    "+44 20 7946 0958", "(212) 555-0119", "020 7946 0958", "tel: 555-0119", "8.8.4.4", "2001:4860:4860::8888",
    "GB82WEST12345698765432", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "219-09-9999", "NO9386011117947",
)  # fmt: skip


@given(st.lists(st.lists(st.sampled_from((*NUMBERS, *PIECES, "1", "12", "a", "AB", ",")), max_size=6).map("".join)))
def test_what_is_not_marked_holds_no_number(given_texts: list[str]) -> None:
    for text, marked in zip(given_texts, may_hold_numbers(TextBatch(given_texts)).tolist(), strict=True):
        assert marked or not list(numbers(text, checked=False))


@pytest.mark.parametrize("text", NUMBERS)
def test_every_kind_of_number_is_seen(text: str) -> None:
    batch = TextBatch(["In 1890, or 1891: 3.5", f"before {text} behind"])
    assert may_hold_numbers(batch).tolist() == [False, True]


@given(st.lists(texts, max_size=4))
def test_what_is_not_marked_holds_none(given_texts: list[str]) -> None:
    for text, marked in zip(given_texts, may_hold_secrets(TextBatch(given_texts)).tolist(), strict=True):
        assert marked or not list(secrets(text))
