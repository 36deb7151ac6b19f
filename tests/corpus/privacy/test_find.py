"""Personal data: what is found, what is not, and that nothing is left after redaction."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.privacy.config import KINDS, PrivacyConfig
from textus.corpus.privacy.find import count, find, is_dropped, placeholder, redact

REDACT = PrivacyConfig(policy="redact")
DIRTY = Path(__file__).parents[3] / "../shared/data/dirty"
LABELS = {"phone_us": "phone", "api_key": "secret", "credit_card": "card", "ipv4": "ip_address"}

PIECES = (
    "ada@example.org", "x.y+z@a-b.co.uk", "+44 20 7946 0958", "(212) 555-0119", "020 7946 0958", "tel: 555-0119",
    "8.8.4.4", "192.0.2.61", "2001:4860:4860::8888", "GB82WEST12345698765432", "DE89 3704 0044 0532 0130 00",
    "4111 1111 1111 1111", "378282246310005", "219-09-9999", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9,
    'api_key = "s3cr3tV4lu3WithNoise9Q"', "https://me:p4ss@example.org/",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n",
    "<EMAIL>", "@", ".", "-", " ", "\n", "1", "0", "+", "(", ")", ":", "a", "é", "=", '"', "12345", "key", "://",
)  # fmt: skip
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)


def kinds(text: str, **arguments: Any) -> list[tuple[str, str]]:
    return [(found.kind, text[found.start : found.end]) for found in find(text, **arguments)]


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Mail <ada.l+x@mail.example.org>.", "email", "ada.l+x@mail.example.org"),
        ("schreib an jörg@müller.de!", "email", "jörg@müller.de"),
        ("Call (212) 555-0119 now", "phone", "(212) 555-0119"),
        ("Call 1-800-215-4490.", "phone", "1-800-215-4490"),
        ("+49 (0)30 1234-5678", "phone", "+49 (0)30 1234-5678"),
        ("in Paris: 01 42 68 53 00", "phone", "01 42 68 53 00"),
        ("Tel.: 555-0119", "phone", "555-0119"),
        ("www at 93.184.216.34:8080", "ip_address", "93.184.216.34"),
        ("server 8.8.4.4 answers", "ip_address", "8.8.4.4"),
        ("see 93.184.216.34.", "ip_address", "93.184.216.34"),
        ("[2606:4700:4700::1111]", "ip_address", "2606:4700:4700::1111"),
        ("to DE89 3704 0044 0532 0130 00, please", "iban", "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432", "iban", "GB82WEST12345698765432"),
        ("card 4111-1111-1111-1111,", "card", "4111-1111-1111-1111"),
        ("3782 822463 10005", "card", "3782 822463 10005"),
        ("SSN 219-09-9998.", "ssn", "219-09-9998"),
        ("aws AKIAIOSFODNN7EXAMPLE", "secret", "AKIAIOSFODNN7EXAMPLE"),
        ("sk-test-na9TQZbRt9vpyelsVC4dTmG0q548e22H", "secret", "sk-test-na9TQZbRt9vpyelsVC4dTmG0q548e22H"),
        ("xoxb-1234567890-AbCdEfGhIjKl", "secret", "xoxb-1234567890-AbCdEfGhIjKl"),
        ("password: 'h4rd2Gu3ss'", "secret", "h4rd2Gu3ss"),
        ("API_KEY=Zm9vYmFyMTIzNDU2Nzg5MGFi\n", "secret", "Zm9vYmFyMTIzNDU2Nzg5MGFi"),
        ("git clone https://bob:hunter2@git.example.org/x", "secret", "hunter2"),
    ],
)
def test_each_kind_is_found_in_its_shapes(text: str, kind: str, found: str) -> None:
    assert kinds(text) == [(kind, found)]


def test_a_private_key_is_found_whole_and_without_its_end() -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nAgEAAoIBAQC7VJTUt9Us8cKj\n"
    whole = f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----"
    assert kinds(f"x {whole} y") == [("secret", whole)]
    assert kinds(f"-----BEGIN PRIVATE KEY-----\n{body}")[0][1].endswith("VJTUt9Us8cKj")


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "a@b", "icon@2x.png", "@property.setter", "a @ b.org", "1945-1950", "on 12-03-2004 and 01.02.2003",
        "pages 1234 5678", "ISBN 978-3-16-148410-0", "Boston, MA 02110-1301", "version 1.2.3.4", "numpy==93.1.2.200",
        "12:34:56", "1.2.3.4",
        "section 93.184.216.34", "OID 1.3.6.1.4.1", "10.0.0.1:80", "127.0.0.1:80", "256.1.1.1:80",
        "std::vector", "4111 1111 1111 1112", "2605 4601 4602 4603 4604", "0.4111111111111111", "GB82 WEST 1234",
        "token = get_token(request)", 'password = "changeme"', "sk-learn-contrib-imbalanced-learn", "EC 4.1.1.50",
        "<EMAIL> <PHONE> <IP_ADDRESS> <IBAN> <CARD> <SSN> <SECRET>", "+1 000", "3.14159265358979", "1,234,567,890",
    ],
)  # fmt: skip
def test_what_is_none_is_not_found(text: str) -> None:
    assert kinds(text) == []


def test_only_checked_numbers_on_request() -> None:
    for text in ("GB00TEST31421392384394", "980-10-7948", "192.0.2.61"):
        assert len(find(text)) == 1
        assert find(text, checked=True) == []


@given(texts)
def test_nothing_is_left_after_redaction_and_redacting_twice_is_once(text: str) -> None:
    redacted, counts = redact(text, REDACT)
    assert find(redacted) == []
    assert redact(redacted, REDACT) == (redacted, Counter())
    assert bool(counts) == (redacted != text)


@given(texts)
def test_findings_are_in_order_apart_and_inside_the_text(text: str) -> None:
    found = find(text)
    ends = [0, *(one.end for one in found)]
    assert all(end <= one.start < one.end <= len(text) for end, one in zip(ends, found, strict=False))


@given(st.lists(texts, max_size=5), st.booleans())
def test_counts_are_those_of_each_text(given_texts: list[str], checked: bool) -> None:
    counts = count(given_texts, TextBatch(given_texts), checked=checked)
    for number, text in enumerate(given_texts):
        assert Counter({kind: int(counts[kind][number]) for kind in KINDS}) == Counter(
            one.kind for one in find(text, checked=checked)
        )


@given(
    st.sampled_from(PIECES[:18]),
    st.sampled_from(["", " ", "\n", ". ", "Contact: "]),
    st.sampled_from(["", " ", "\n", "."]),
)
def test_only_what_was_found_changes(piece: str, before: str, behind: str) -> None:
    text = f"Plain words.\n{before}{piece}{behind}"
    redacted, _ = redact(text, REDACT)
    at = 0
    for kept in _around(text):
        at = redacted.index(kept, at) + len(kept)
    assert redacted.startswith("Plain words.\n")


def _around(text: str) -> Iterator[str]:
    at = 0
    for one in find(text):
        yield text[at : one.start]
        at = one.end
    yield text[at:]


def test_each_kind_has_its_own_policy() -> None:
    text = "ada@example.org, 219-09-9998"
    only_ssn = PrivacyConfig(ssn="redact")
    assert redact(text, PrivacyConfig()) == (text, Counter())
    assert redact(text, only_ssn) == ("ada@example.org, <SSN>", Counter({"ssn": 1}))
    assert redact(text, PrivacyConfig(policy="redact", email="keep"))[0] == "ada@example.org, <SSN>"
    assert is_dropped(count([text, "none"], TextBatch([text, "none"])), PrivacyConfig(email="drop")).tolist() == [
        True,
        False,
    ]
    assert is_dropped(count([text], TextBatch([text])), only_ssn).tolist() == [False]


def test_long_texts_without_end_cost_no_more_than_long_ones() -> None:
    for piece in (
        "1 ",
        "1-",
        "a.",
        "a@",
        "key=",
        "+1",
        "GB82 ",
        "2001:",
        "://a:",
        "-----BEGIN PRIVATE KEY-----\n",
        "eyJa.",
    ):
        find(piece * 5_000)


@pytest.mark.skipif(not DIRTY.exists(), reason="the shared data are not here")
def test_planted_data_are_found() -> None:
    def lines(name: str) -> Iterator[dict[str, Any]]:
        with zstandard.open(DIRTY / name, "rb") as file:
            yield from map(json.loads, io.TextIOWrapper(file, "utf-8"))

    planted, missed, more = 0, [], []
    for document, label in zip(lines("dirty_dev.jsonl.zst"), lines("dirty_dev_labels.jsonl.zst"), strict=True):
        if label["kind"] == "pii":
            found = kinds(document["text"])
            wanted = [(LABELS.get(kind, kind), string) for kind, string in label["pii"]]
            planted += len(wanted)
            missed += [one for one in wanted if one not in found]
            more += [one for one in found if one not in wanted]
    assert planted == 585
    assert missed == []
    assert more == []


def test_placeholders_are_words() -> None:
    assert [placeholder(kind) for kind in KINDS[:3]] == ["<EMAIL>", "<PHONE>", "<IP_ADDRESS>"]
