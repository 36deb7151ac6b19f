"""What cleaning repairs, and what it must leave alone."""

import itertools
import re
import unicodedata

import ftfy
import pytest
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.clean import _FTFY, _SUSPECT, _is_bad, _repaired, clean
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


# Every character of ftfy's categories, and what its pattern names besides.
ODD = [chr(code) for code in range(0x80, 0x3000) if re.match(f"[{''.join(MOJIBAKE_CATEGORIES.values())}]", chr(code))]
ODD += "aZ .,0漢б½þ±†≠ﬁﬂΆ\ufffd\uf8ff"
MIXED = st.lists(st.sampled_from([*ODD, *"aZ œÂÃвЂ "]), max_size=8).map("".join)


@settings(max_examples=300)
@given(MIXED)
def test_the_quick_look_misses_nothing_that_ftfy_finds_bad(text):
    assert not is_bad(text) or _SUSPECT.search(text)


def test_the_quick_look_misses_no_pair():
    for before, after in itertools.product(ODD, ODD):
        for text in (f" {before}{after}a", f"a{before}{after}œ"):
            assert not is_bad(text) or _SUSPECT.search(text), repr(text)


@settings(max_examples=300)
@given(MIXED, st.integers(0, 70), st.integers(0, 70))
def test_a_look_around_what_is_suspect_sees_what_ftfy_sees_of_the_line(text, before, after):
    line = ("an ordinary line, and " * 4)[:before] + text + (" something more of it" * 4)[:after]
    assert _is_bad(line) == is_bad(line)


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["Ã©", "â€™", "Ã¢â‚¬â„¢", "\x85", "\x92", "вЂ", "é", "a ", "ÂÃ", "√©"]), max_size=8).map(
        "".join
    )
)
def test_a_line_is_repaired_as_ftfy_repairs_it(line):
    assert _repaired(line) == ftfy.fix_text(line, _FTFY)


def plainly(text, config):
    """Clean as `clean` does, step by step, without looking first whether a step is needed."""
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    text = re.sub("\r\n|[\r\u2028\u2029]", "\n", re.sub("[\u2028\u2029]", "\n", text))
    if config.fix_unicode:
        text = "\n".join(ftfy.fix_text(line, _FTFY) if is_bad(line) else line for line in text.split("\n"))
    text = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]", "", text)
    text = unicodedata.normalize("NFC", text) if config.fix_unicode else text
    text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    return re.sub("\n{4,}", "\n\n\n", text)


@settings(max_examples=300)
@given(st.one_of(DIRTY, st.text(max_size=40), MIXED, st.lists(MIXED, max_size=5).map("\n".join)), st.booleans())
def test_what_is_looked_at_first_changes_nothing(text, fix_unicode):
    config = CorpusConfig(fix_unicode=fix_unicode)
    assert clean(text, config)[0] == plainly(text, config)
