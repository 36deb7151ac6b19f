"""Measure what a vocabulary does to texts: by source, on the terms of a domain, and on anything at all.

A *word* is a run of characters without white space, as in `str.split`. A *term* is a word of four letters or more that
many documents do without: it stands in two at least and in a quarter at most; of these, the most frequent ones. Words
that stand nearly everywhere are the grammar of the language, not the domain.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from textus.corpus.document import Document
from textus.tokenizer.tokenizer import Tokenizer, well_formed

TERMS = 500
_TERM = re.compile(r"[^\W\d_]{4,}")
_LEAST_DOCUMENTS, _MOST_OF_DOCUMENTS = 2, 0.25
_LONGEST_FUZZ = 40


@dataclass(frozen=True)
class Fertility:
    """How a vocabulary cuts the documents of one source."""

    source: str
    num_documents: int
    num_bytes: int
    num_words: int
    num_tokens: int

    @property
    def bytes_per_token(self) -> float:
        """Return how many bytes of UTF-8 a token holds on average."""
        return self.num_bytes / max(1, self.num_tokens)

    @property
    def tokens_per_word(self) -> float:
        """Return how many tokens a word takes on average, the white space around it included."""
        return self.num_tokens / max(1, self.num_words)


def source_of(document: Document) -> str:
    """Name the source of a document: what it says itself (`meta["source"]`), else the folder of its file.

    >>> source_of(Document("", "law/acts/1.txt")), source_of(Document("", "1.txt", {"source": "letters"}))
    ('law/acts', 'letters')
    """
    said = document.meta.get("source")
    return str(said) if said else str(PurePath(document.source).parent)


def by_source(tokenizer: Tokenizer, documents: Iterable[Document]) -> list[Fertility]:
    """Measure the documents of each source, the one with most bytes first."""
    found: dict[str, list[int]] = {}
    for document in documents:
        text = well_formed(document.text)
        sums = found.setdefault(source_of(document), [0, 0, 0, 0])
        for place, value in enumerate((1, len(text.encode()), len(text.split()), len(tokenizer.encode(text)))):
            sums[place] += value
    rows = [Fertility(source, *sums) for source, sums in found.items()]
    return sorted(rows, key=lambda row: (-row.num_bytes, row.source))


def total(rows: Sequence[Fertility]) -> Fertility:
    """Add up sources."""
    return Fertility(
        "all",
        sum(row.num_documents for row in rows),
        sum(row.num_bytes for row in rows),
        sum(row.num_words for row in rows),
        sum(row.num_tokens for row in rows),
    )


def terms(documents: Iterable[Document], most: int = TERMS) -> list[str]:
    """Return the terms of some documents, the most frequent first, each as it is written most often."""
    forms: Counter[str] = Counter()
    where: Counter[str] = Counter()
    num_documents = 0
    for document in documents:
        here = Counter(_TERM.findall(document.text))
        forms.update(here)
        where.update({form.lower() for form in here})
        num_documents += 1
    counts: Counter[str] = Counter()
    written: dict[str, str] = {}
    for form in sorted(forms, key=lambda form: (forms[form], form)):  # the most frequent form is last, and stays
        counts[form.lower()] += forms[form]
        written[form.lower()] = form
    most_documents = _MOST_OF_DOCUMENTS * num_documents
    found = [word for word in counts if _LEAST_DOCUMENTS <= where[word] <= most_documents]
    return [written[word] for word in sorted(found, key=lambda word: (-counts[word], word))[:most]]


def in_one_token(tokenizer: Tokenizer, words: Sequence[str]) -> list[str]:
    """Return the words that are one token inside a sentence, behind a space."""
    encoded = tokenizer.encode_batch([f" {word}" for word in words])
    return [word for word, tokens in zip(words, encoded, strict=True) if len(tokens) == 1]


def unused(tokenizer: Tokenizer, texts: Iterable[str]) -> list[int]:
    """Return the tokens that no text uses, special ones and single bytes left out: those are there in case."""
    seen = np.zeros(tokenizer.vocab_size, np.bool_)
    for text in texts:
        seen[tokenizer.encode(text)] = True
    kept = (token for token in np.flatnonzero(~seen).tolist() if token not in tokenizer.special)
    return [token for token in kept if len(tokenizer.token_bytes(token)) > 1]


def fuzz(tokenizer: Tokenizer, count: int = 1000, seed: int = 1) -> list[str]:
    """Return those of `count` random texts that do not come back as they were; the texts depend on `seed` alone.

    Their characters are of all 17 planes, assigned or not, mixed with letters, digits, signs and white space.
    """
    chance = random.Random(seed)
    lost = []
    for _ in range(count):
        text = "".join(_character(chance) for _ in range(chance.randrange(_LONGEST_FUZZ)))
        if tokenizer.decode(tokenizer.encode(text)) != text:
            lost.append(text)
    return lost


def _character(chance: random.Random) -> str:
    kind = chance.randrange(4)
    if kind == 0:
        return chance.choice("aeB19 ,.'\n\t\r_-  ")
    if kind == 1:
        return chr(chance.randrange(0x80, 0x3000))
    plane = 0 if kind == 2 else chance.randrange(17)
    code = plane << 16 | chance.randrange(1 << 16)
    return chr(code) if not 0xD800 <= code < 0xE000 else " "
