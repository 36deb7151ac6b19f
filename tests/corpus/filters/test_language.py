"""Languages: they are told, and odd texts are borne."""

from __future__ import annotations

import builtins
from typing import Any

import pycld2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.filters.language import LANGUAGES, UNDETERMINED, check_language, identify
from textus.errors import ConfigError, ResourceError

ARTICLE_1 = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y dotados como están de razón.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.",
}


def test_languages_are_told_apart() -> None:
    codes, confidences = identify(list(ARTICLE_1.values()))
    assert codes == list(ARTICLE_1)
    assert (confidences > 0.8).all()


@given(st.lists(st.text() | st.text(st.characters(categories=["Cc", "Cs", "Co", "Cn", "L"])), max_size=4))
def test_any_text_gets_an_answer(texts: list[str]) -> None:
    codes, confidences = identify(texts)
    assert len(codes) == len(confidences) == len(texts)
    for code, confidence in zip(codes, confidences.tolist(), strict=True):
        assert code == UNDETERMINED or code in LANGUAGES
        assert (confidence == 0) == (code == UNDETERMINED)
        assert 0 <= confidence <= 1


@pytest.mark.parametrize("text", ["", "1 2 3", "Hi", "\x00\x01", "???", "\ud800", "\ufdd0"])
def test_what_is_too_short_is_undetermined(text: str) -> None:
    assert identify([text])[0] == [UNDETERMINED]


def test_only_the_start_is_looked_at() -> None:
    english, german = ARTICLE_1["en"] * 12, ARTICLE_1["de"] * 100
    assert identify([english + german])[0] == ["en"]


def test_the_languages_are_those_of_the_library() -> None:
    codes = {code for name, code in pycld2.LANGUAGES if name in pycld2.DETECTED_LANGUAGES}
    told = {{"iw": "he", "jw": "jv", "zh-Hant": "zh", "bh": "bih"}.get(code, code) for code in codes}
    assert told - set(LANGUAGES) == {"xx-Bugi", "xx-Goth", "ie", "tlh", "zzp"}  # scripts, and languages of play
    assert set(LANGUAGES) <= told


def test_a_wrong_code_is_answered() -> None:
    check_language("en")
    check_language(UNDETERMINED)
    with pytest.raises(ConfigError, match="no language `eng`") as caught:
        check_language("eng")
    assert "en" in caught.value.hint


def test_without_the_library_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "pycld2":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ResourceError, match="pycld2 is not installed"):
        identify(["some text"])
