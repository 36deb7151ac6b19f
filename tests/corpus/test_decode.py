"""From bytes to text: every encoding that is met often, in any division into blocks."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.decode import decoded, guess, looks_binary
from textus.corpus.log import ReadLog
from textus.errors import InputError

TEXTS = {
    "cp1252": "Les élèves étaient très fatigués après l'été — “déjà vu”, dit-il.\n",
    "cp1250": "Zażółć gęślą jaźń. Dzień dobry, jak się masz?\n",
    "cp1251": "Привет, как дела? Сегодня хорошая погода в Москве.\n",
    "koi8_r": "Привет, как дела? Сегодня хорошая погода в Москве.\n",
    "cp1253": "Καλημέρα, τι κάνεις σήμερα; Η Αθήνα είναι όμορφη.\n",
    "shift_jis": "吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。\n",
    "gb18030": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。\n",
    "big5": "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,誠應和睦相處。\n",
}


def read(data: bytes, encoding: str = "auto", size: int = 1 << 20, log: ReadLog | None = None) -> str:
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    return "".join(decoded(blocks, encoding, "file.txt", log or ReadLog()))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")), st.integers(1, 9))
def test_utf8_is_itself_in_any_blocks(text, size):
    data = text.encode()
    if not looks_binary(data[:size]):
        assert read(data, size=size) == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(encoding):
    log = ReadLog()
    assert read("Déjà 漢\n".encode(encoding), size=4, log=log) == "Déjà 漢\n"
    assert log.encodings == {encoding: 1}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark_is_seen(encoding):
    assert read("Some English words, as Windows wrote them.\n".encode(encoding) * 20) == (
        "Some English words, as Windows wrote them.\n" * 20
    )


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("before", ["", "plain ASCII first\n" * 2000])
def test_old_encodings_are_guessed_and_named(encoding, before):
    text, log = before + TEXTS[encoding] * 20, ReadLog()
    assert read(text.encode(encoding), size=10_000, log=log) == text
    assert sum(log.encodings.values()) == 1
    assert not log.named


@pytest.mark.parametrize("word", ["Déjà vu", "El niño comió piñas", "Straße", "naïve café"])
def test_short_western_text_is_western(word):
    assert guess(f"{word}\n".encode("cp1252")) == "cp1252"


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_damage_in_utf8_is_replaced_and_counted(size):
    log = ReadLog()
    text = read("Déjà vu, très bien, où ça ? ".encode() * 5 + b"\xff\xfe" + "fin é".encode(), size=size, log=log)
    assert text.endswith("\ufffd\ufffdfin é")
    assert log.encodings == {"utf-8": 1}
    assert log.unreadable == {"bytes": 2}
    assert "file.txt" in log.named[0]


def test_a_stated_encoding_is_kept_to():
    assert read("é".encode("cp1252"), "latin-1") == "é"
    with pytest.raises(InputError, match=r"file\.txt: not utf-8.* byte 5") as caught:
        read(b"caf\xe9 au lait"[:3] + b"xx\xe9yy", "utf-8")
    assert "corpus.encoding=auto" in caught.value.hint
    with pytest.raises(InputError, match="byte 12"):
        read(b"ascii words \xe9 \xe9", "utf-8", size=4)
    with pytest.raises(InputError, match="not utf-8"):
        read("é".encode()[:1], "utf-8")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"%PDF-1.7\n", b"abc\0def", bytes(range(256))])
@pytest.mark.parametrize("encoding", ["auto", "latin-1"])
def test_binaries_are_refused(data, encoding):
    if encoding == "latin-1" and b"\0" not in data:
        return
    with pytest.raises(InputError, match="binary"):
        read(data, encoding)


def test_marks_are_not_binary():
    assert not looks_binary(codecs.BOM_UTF16_LE + "a".encode("utf-16-le"))
    assert not looks_binary(b"plain")
    assert not looks_binary(b"")
