"""Which language a text is in, by the Compact Language Detector 2 (the script first, then four-letter sequences)."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from textus.errors import ConfigError, ResourceError

CHARACTERS = 1000
"""How much of a text is looked at, from its start."""
UNDETERMINED = "und"
"""The code of a text that is too short or too odd to tell."""
_CODES = (
    "aa ab af ak am ar as ay az ba be bg bi bih bn bo br bs ca ceb chr co crs cs cy da de dv dz el en eo es et eu "
    "fa fi fj fo fr fy ga gd gl gn gu gv ha haw he hi hmn hr ht hu hy ia id ig ik is it iu ja jv ka kha kk kl km "
    "kn ko ks ku ky la lb lg lif ln lo lt lv mfe mg mi mk ml mn mr ms mt my na ne nl nn no nr nso ny oc om or pa "
    "pl ps pt qu rm rn ro ru rw sa sco sd sg si sk sl sm sn so sq sr ss st su sv sw syr ta te tg th ti tk tl tn "
    "to tr ts tt ug uk ur uz ve vi vo war wo xh yi yo za zh zu"
)
LANGUAGES = tuple(_CODES.split())
"""What can be told apart: ISO 639-1 where there is such a code, else ISO 639-2."""
_OLD = {"iw": "he", "jw": "jv", "zh-Hant": "zh", "bh": "bih", "un": UNDETERMINED}
# What the detector refuses: control characters become spaces, the rare others are looked for only then.
_CONTROLS = bytes(byte if byte >= 0x20 and byte != 0x7F else 0x20 for byte in range(256))


def identify(texts: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
    """Return the language of each text, and how sure it is: the share of the text that is in it.

    >>> codes, confidences = identify(["All human beings are born free and equal in dignity and rights.", "1 2 3"])
    >>> codes, bool(confidences[0] > 0.9)
    (['en', 'und'], True)
    """
    try:
        import pycld2  # noqa: F401
    except ImportError:
        raise ResourceError(
            "languages cannot be told apart: the package pycld2 is not installed",
            hint="python -m pip install pycld2 (where there is no wheel for your machine, it needs a C++ compiler)",
        ) from None
    codes, confidences = [], np.zeros(len(texts), np.float32)
    for number, text in enumerate(texts):
        code, confidences[number] = _detected(text[:CHARACTERS].encode("utf-8", "replace").translate(_CONTROLS))
        codes.append(code)
    return codes, confidences


@lru_cache(2048)  # copies are often near each other
def _detected(head: bytes) -> tuple[str, float]:
    import pycld2

    try:
        _, _, (best, *_) = pycld2.detect(head, isPlainText=True)
    except pycld2.error:
        _, _, (best, *_) = pycld2.detect(_assigned(head), isPlainText=True)
    code = _OLD.get(best[1], best[1])
    return (code, best[2] / 100) if code in _KNOWN else (UNDETERMINED, 0)


def check_language(code: str) -> None:
    """Raise `ConfigError` unless `code` is a language that can be told, or `und`."""
    if code != UNDETERMINED and code not in _KNOWN:
        close = difflib.get_close_matches(code, LANGUAGES, n=1, cutoff=0.6)
        raise ConfigError(
            f"`languages`: no language `{code}` that can be told",
            hint=f"did you mean {close[0]}?" if close else "codes are those of ISO 639-1: en, de, fr, zh, ...",
        )


def _assigned(head: bytes) -> bytes:
    """Put spaces in the place of unassigned, private and control characters."""
    text = head.decode("utf-8")
    kept = [" " if unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs") else character for character in text]
    return "".join(kept).encode("utf-8")


_KNOWN = frozenset(LANGUAGES)
