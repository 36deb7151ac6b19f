"""Read text as a person sees it: one case, no accents, no invisible characters, look-alikes as what they look like."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

# Letters of other alphabets that pass for Latin ones in small letters. NFKD has already made the many widths and
# styles of Latin letters plain; the whole table of Unicode would also fold `m` with `rn`.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝьԍѵӏ" + "αεορνικτυχ" + "ıɡɑℓ" + "øđłħ",
    "aeopcyxijshdqwbgvl" + "aeopviktux" + "igal" + "odlh",
)
_UNSEEN = frozenset({"Mn", "Me", "Cf"})


class Folded(NamedTuple):
    """A folded text, and where each of its characters stood."""

    text: str
    places: range | list[int]
    """One more than there are characters: the last is the length of the text as it was."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the text as it was, of what stands from `start` to before `end` here."""
        return self.places[start], self.places[end - 1] + 1 if end > start else self.places[start]


def fold(text: str) -> Folded:
    """Fold a text for comparison.

    >>> fold("Ｐаss\u200bwörd").text, fold("Ｐаss\u200bwörd").span(4, 8)
    ('password', (5, 9))
    """
    if text.isascii():
        return Folded(text.lower(), range(len(text) + 1))
    pieces, places = [], []
    for place, character in enumerate(text):
        folded = _fold(character)
        pieces.append(folded)
        places += [place] * len(folded)
    return Folded("".join(pieces), [*places, len(text)])


@lru_cache(maxsize=65536)
def _fold(character: str) -> str:
    if character.isascii():
        return character.lower()
    plain = unicodedata.normalize("NFKD", character).casefold().translate(_LOOK_ALIKES)
    return "".join(part for part in plain if unicodedata.category(part) not in _UNSEEN)
