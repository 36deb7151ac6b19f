"""What cleaning repairs, and what it must leave alone."""

import itertools
import re
import unicodedata

import pytest
from ftfy.badness import is_bad
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.clean import _SUSPECT, clean
from textus.corpus.config import CorpusConfig

CONFIG = CorpusConfig()
PIECES = [
    "a",
    "B",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "é",
    "e\u0301",
    "\u0301",
    "\x00",
    "\x85",
    "\u2028",
    "“",
    "漢",
    "😀",
]
DIRTY = st.lists(st.sampled_from([*PIECES, "\ud800", "\ufeff", "Ã©", "â€™", "\f"]), max_size=60).map("".join)


@pytest.mark.parametrize(
    ("before", "after", "repair"),
    [
        ("a\r\nb\rc", "a\nb\nc", "line ends"),
        ("one\u2028two", "one\ntwo", "line ends"),
        ("a\x00b\x07c", "abc", "control characters"),
        ("\ufeffa", "a", "control characters"),
        ("a  \nb\t", "a\nb", "spaces at line ends"),
        ("a\n\n\n\n\nb", "a\n\n\nb", "blank lines"),
        ("cafe\u0301", "café", "composed accents"),
        ("Itâ€™s schÃ¶n", "It’s schön", "wrong decoding"),
        ("a\ud800b", "a\ufffdb", "lone surrogates"),
    ],
)
def test_each_repair_is_made_and_named(before, after, repair):
    text, repairs = clean(before, CONFIG)
    assert text == after
    assert repair in repairs


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    if x:\n\treturn  1\n\n\nclass A: pass",
        "    indented first line\nend",
        "“curly” ‘quotes’ — dashes … ﬁ ligature, ＷＩＤＥ &amp; &lt;entities&gt;",
        "Ça va ? Où est l'élève — là-bas. naïve café, piñata, Ærøskøbing, Łódź",
        "日本語のテキスト。Русский текст. Ελληνικά. עברית. العربية",
        "family 👨‍👩‍👧 flag 🇫🇷 zero\u200cwidth\u200djoiners",
    ],
)
def test_what_the_author_meant_stays(text):
    assert clean(text, CONFIG) == (text, {})


@given(DIRTY)
def test_cleaning_keeps_its_promises(text):
    cleaned, _ = clean(text, CONFIG)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff\r\u2028]", cleaned)
    assert not re.search(r"[ \t]\n|\n{4}|^\n|\s$", cleaned)
    cleaned.encode("utf-8")


@given(DIRTY)
def test_cleaning_twice_is_cleaning_once_but_for_ftfy(text):
    config = CorpusConfig(fix_unicode=False)
    cleaned, _ = clean(text, config)
    assert clean(cleaned, config) == (cleaned, {})


def test_unicode_repair_can_be_turned_off():
    assert clean("Itâ€™s cafe\u0301", CorpusConfig(fix_unicode=False))[0] == "Itâ€™s cafe\u0301"


def test_long_runs_cost_no_more_than_they_should():
    # A pattern that backtracks would take minutes here.
    assert clean(" " * 2_000_000 + "a" + "\t" * 2_000_000 + "b" + "\n" * 2_000_000 + "c", CONFIG)[0].endswith("\n\n\nc")


@given(st.text("aA é" + "ÂÃâ€™œŒ§“”ï¿½²Ð°вЂ \xa0\x80\x9dΓÇÖ╬├‚Äô√©à¸°×³", max_size=6))
def test_the_quick_look_misses_nothing_that_ftfy_finds_bad(text):
    assert not is_bad(text) or _SUSPECT.search(text)


def test_the_quick_look_misses_no_single_character():
    letters = [*range(0x80, 0x530), *range(0x2000, 0x2600), 0xFB01, 0xFB02, 0xFFFD]
    around = ["", "a", "A", " ", "."]
    for before, code, after in itertools.product(around, letters, around):
        text = f"{before}{chr(code)}{after}"
        assert not is_bad(text) or _SUSPECT.search(text), repr(text)
