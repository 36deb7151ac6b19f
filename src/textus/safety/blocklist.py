"""The user's own words and phrases, found as people write them: any case, accent, width or look-alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from textus.safety.fold import fold
from textus.safety.policy import Blocklist
from textus.safety.span import Span
from textus.safety.taxonomy import BLOCKLIST

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts that put nothing between words: there a phrase is looked for anywhere."""


class Phrases:
    """Find the phrases of a list; between the words of one may stand anything that is no word.

    The time is that of reading the text, however long the list is.
    """

    def __init__(self, blocklist: Blocklist) -> None:
        self.name = f"{BLOCKLIST}{blocklist.name}"
        self.categories: Sequence[str] = (self.name,)
        self._exact: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._begun: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._anywhere: list[str] = []
        for phrase in blocklist.phrases:
            self._add(fold(phrase).text)
        self._shortest = min(map(len, self._begun), default=0)
        self._longest = max(map(len, self._begun), default=-1)

    def _add(self, phrase: str) -> None:
        words = tuple(_WORD.findall(phrase))
        if _UNSPACED.search(phrase):
            self._anywhere.append(phrase.strip(" *"))
        elif words and phrase.rstrip().endswith("*") and len(words) == 1:
            self._begun[words[0]].append(words)
        elif words:
            self._exact[words[0]].append(words)

    def __call__(self, text: str) -> Iterator[Span]:
        """Find phrases, each with its place."""
        folded = fold(text)
        found = list(_WORD.finditer(folded.text))
        words = [word[0] for word in found]
        for place, word in enumerate(words):
            size = max((len(one) for one in self._exact.get(word, ()) if _stands(one, words, place)), default=0)
            if not size and self._is_begun(word):
                size = 1
            if size:
                yield self._span(*folded.span(found[place].start(), found[place + size - 1].end()))
        for phrase in self._anywhere:
            at = folded.text.find(phrase)
            while at >= 0:
                yield self._span(*folded.span(at, at + len(phrase)))
                at = folded.text.find(phrase, at + 1)

    def _is_begun(self, word: str) -> bool:
        return any(word[:size] in self._begun for size in range(self._shortest, min(self._longest, len(word)) + 1))

    def _span(self, start: int, end: int) -> Span:
        return Span(start, end, self.name, "blocklist")


def _stands(phrase: tuple[str, ...], words: list[str], place: int) -> bool:
    return tuple(words[place : place + len(phrase)]) == phrase
