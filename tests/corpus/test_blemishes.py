"""What is not looked at twice is what `clean` would leave as it is."""

import itertools
import unicodedata
from itertools import islice
from pathlib import Path

import pytest
from ftfy.badness import is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.blemishes import may_need_repair
from textus.corpus.clean import SUSPECTS, clean
from textus.corpus.config import CorpusConfig
from textus.corpus.read import read

DATA = Path(__file__).parents[2] / "../shared/data"
CONFIGS = (CorpusConfig(), CorpusConfig(fix_unicode=False))
pieces = st.one_of(
    st.text(max_size=6),
    st.text(st.characters(max_codepoint=0x24F), max_size=6),
    st.sampled_from(
        ["\n", "\n\n\n", " ", "\t", "\r", "a", "é", "â€™", "Ã©", "—“", "e\u0301", "\u2028", "\ufeff", "\x85"]
    ),
    st.sampled_from(["\ud800", "\xa0", "\u3000", "\x1c", "\u2126", "\u2001", "\u200b", "ŒA", "\x00", "\x7f", "日本"]),
)


@settings(max_examples=100)
@given(st.lists(st.lists(pieces, max_size=6).map("".join), max_size=5))
def test_a_text_without_a_mark_is_not_changed(texts):
    for text, marked in zip(texts, may_need_repair(TextBatch(texts)).tolist(), strict=True):
        for config in CONFIGS:
            repaired, repairs = clean(text, config)
            assert marked or (repaired == text and not repairs)


def test_no_single_character_is_overlooked():
    characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co")]
    texts = [f"a{character}b" for character in characters if character not in "\n\t"]
    unmarked = [text for text, marked in zip(texts, may_need_repair(TextBatch(texts)), strict=True) if not marked]
    assert len(unmarked) > 600
    assert all(clean(text, CONFIGS[0])[0] == text for text in unmarked)


def test_nothing_that_composes_is_overlooked():
    parts = [unicodedata.decomposition(chr(code)).split() for code in range(0x110000)]
    pairs = {"".join(chr(int(part, 16)) for part in both) for both in parts if len(both) == 2 and both[0][0] != "<"}
    pairs |= {"\u1100\u1161", "\uac00\u11a8"}
    changed = [pair for pair in pairs if unicodedata.normalize("NFC", pair) != pair]
    assert len(changed) > 900
    assert may_need_repair(TextBatch(changed)).all()


def test_no_pair_that_ftfy_finds_bad_is_overlooked():
    odd = [*SUSPECTS.findall("".join(map(chr, range(0x3000)))), *"ΑαЖжвВГ漢þ"]
    texts = [f"a{first}{second}{third}" for first, second in itertools.product(odd, odd) for third in "a "]
    marks = may_need_repair(TextBatch(texts)).tolist()
    assert not [text for text, marked in zip(texts, marks, strict=True) if not marked and is_bad(text)]


@pytest.mark.parametrize(
    "text", ["Русский текст", "Ελληνικά", "日本語のテキスト。", "עברית", "한국어", "ça déjà — l'été"]
)
def test_the_letters_of_a_language_are_no_blemish(text):
    assert not may_need_repair(TextBatch([text])).any()


@pytest.mark.skipif(not (DATA / "dirty").exists(), reason="the shared data is not here")
def test_most_texts_need_no_second_look():
    documents = read([DATA / "dirty/dirty_dev.jsonl.zst"], CONFIGS[0])
    texts = [document.text for document in islice(documents, 1000)]
    marks = may_need_repair(TextBatch(texts)).tolist()
    changed = [clean(text, CONFIGS[0])[0] != text for text in texts]
    assert not any(is_changed and not marked for is_changed, marked in zip(changed, marks, strict=True))
    assert sum(marks) < 0.6 * len(texts)
