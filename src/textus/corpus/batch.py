"""Many texts as one array of characters, with their words and lines, so that one pass of numpy serves every measure.

Filters, signatures, passages and n-gram indices all need the same things of a text: where its words and lines are, and
a hash of each. They are found here once for some megabytes of documents at a time; a Python loop over words is some ten
times slower.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Hashes = NDArray[np.uint64]

LETTER, DIGIT, MARK, SPACE, UPPER, SIGN, ALONE = (np.uint8(1 << bit) for bit in range(7))
"""What a character is: letter, digit, combining mark, white space, upper case, punctuation or symbol, and a letter of a
script that puts no spaces between words (Han, Kana, Thai, Lao, Khmer, Burmese, Tibetan), which is a word by itself."""
WORD = np.uint8(LETTER | DIGIT | MARK)
"""What words are made of."""
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_ASSIGNED = ((0, 0xD800), (0xF900, 0x40000), (0xE0000, 0xE1000))
"""Where characters are: not among the surrogates, in private use, or in the planes that Unicode keeps free."""
_CHARACTER, _STEP = np.uint64(0x9E3779B97F4A7C15), 0x2545F4914F6CDD1D
_NEWLINE, _LATIN, _BLOCK = 10, 256, 1 << 15
BATCH_CHARACTERS = 1 << 19
"""How many characters are looked at together: few enough for the caches, enough to forget what numpy's calls cost."""


@dataclass(frozen=True)
class Spans:
    """Pieces of a batch, in order: where each starts and ends, and which are whose."""

    starts: Index
    ends: Index
    """The place behind the last character."""
    offsets: Index
    """Text `i` owns the pieces from `offsets[i]` to `offsets[i + 1]`."""

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> Index:
        """Return the number of characters of each."""
        return self.ends - self.starts

    @property
    def counts(self) -> Index:
        """Return how many pieces each text owns."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> Index:
        """Return the number of the text that owns each piece."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)


class TextBatch:
    r"""Texts, one after the other, a line break behind each.

    >>> batch = TextBatch(["To be, or\nnot to be.", "", "To be"])
    >>> [batch.word(number) for number in range(len(batch.words))]
    ['To', 'be', 'or', 'not', 'to', 'be', 'To', 'be']
    >>> batch.words.counts.tolist(), batch.lines.counts.tolist()
    ([6, 0, 2], [2, 1, 1])
    >>> bool(batch.word_hashes[0] == batch.word_hashes[4])
    True
    """

    def __init__(self, texts: Sequence[str]) -> None:
        joined = "\n".join(texts) + "\n" if texts else ""
        self.codes: NDArray[np.uint32] = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        """The code point of each character."""
        self.starts: Index = np.zeros(len(texts) + 1, np.int64)
        """Where each text starts; it ends one character before the next starts, at the line break put there."""
        np.cumsum([len(text) + 1 for text in texts], out=self.starts[1:])

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """Return what each character is, as a sum of the flags of this module."""
        # Bytes are looked up some times faster than numbers; what is beyond Latin-1, and is then wrong, is few.
        table = _tables()[0]
        found = np.frombuffer(bytearray(self.codes.astype(np.uint8)).translate(table[:_LATIN].tobytes()), np.uint8)
        beyond = np.flatnonzero(self.codes >= _LATIN)
        found[beyond] = np.take(table, self.codes[beyond])
        return found

    @cached_property
    def signs(self) -> tuple[Index, NDArray[np.uint32]]:
        """Return where punctuation and symbols are, and which: a twentieth of a text, to look for any of them in."""
        places = np.flatnonzero((self.classes & SIGN) != 0)
        return places, self.codes[places]

    @cached_property
    def words(self) -> Spans:
        """Find the words: runs of letters, digits and marks, and single letters of scripts without spaces."""
        # Behind every text there is a line break: no run reaches into the next.
        is_word, alone = (self.classes & WORD) != 0, (self.classes & ALONE) != 0
        if not alone.any():
            return self.spans(*runs(is_word))
        is_border = np.ones(len(is_word), bool)
        is_border[1:] = (is_word[1:] != is_word[:-1]) | alone[1:] | alone[:-1]
        # Between one border and the next all is word, or nothing is.
        borders = np.flatnonzero(is_border)
        begins = np.flatnonzero(is_word[borders])
        return self.spans(borders[begins], borders[begins + 1])

    @cached_property
    def lines(self) -> Spans:
        """Find the lines, empty ones too, without their line breaks; an empty text has one."""
        ends = np.flatnonzero(self.codes == _NEWLINE)
        starts = np.zeros(len(ends), np.int64)
        starts[1:] = ends[:-1] + 1
        return self.spans(starts, ends)

    @cached_property
    def word_hashes(self) -> Hashes:
        """Hash each word, whatever its case."""
        return self.hashes(self.words.starts, self.words.ends)

    @cached_property
    def line_hashes(self) -> Hashes:
        """Hash each line without the spaces around it, whatever its case; all blank lines have one hash."""
        return self.hashes(*self.trimmed_lines)

    @cached_property
    def trimmed_lines(self) -> tuple[Index, Index]:
        """Return where each line starts and ends without the spaces around it; a blank one is empty, at its start."""
        return self.stripped(self.lines.starts, self.lines.ends)

    def spans(self, starts: Index, ends: Index) -> Spans:
        """Say which text owns each of some ordered pieces."""
        return Spans(starts, ends, np.searchsorted(starts, self.starts))

    def stripped(self, starts: Index, ends: Index) -> tuple[Index, Index]:
        """Leave out white space at both ends of pieces; one of nothing else is left empty, at its start."""
        is_space = (self.classes & SPACE) != 0
        # The line break behind the last text stands in for what is before the first character.
        padded = np.flatnonzero((ends > starts) & (is_space[starts] | is_space[ends - 1]))
        if not len(padded):
            return starts, ends
        solid = np.flatnonzero(~is_space)
        first, last = np.searchsorted(solid, starts[padded]), np.searchsorted(solid, ends[padded]) - 1
        has_any = first <= last
        starts, ends = starts.copy(), ends.copy()
        ends[padded[~has_any]] = starts[padded[~has_any]]
        padded, first, last = padded[has_any], first[has_any], last[has_any]
        starts[padded], ends[padded] = solid[first], solid[last] + 1
        return starts, ends

    def hashes(self, starts: Index, ends: Index) -> Hashes:
        """Hash the characters of any pieces, whatever their case, to 64 bits that do not depend on the place."""
        return _between(self._sums, starts, ends)

    def text(self, number: int) -> str:
        """Return a text as it was given."""
        return self.piece(int(self.starts[number]), int(self.starts[number + 1]) - 1)

    def word(self, number: int) -> str:
        """Return a word as it is written."""
        return self.piece(int(self.words.starts[number]), int(self.words.ends[number]))

    def piece(self, start: int, end: int) -> str:
        """Return the characters from `start` to `end`."""
        return self.codes[start:end].tobytes().decode("utf-32-le", "surrogatepass")

    def ngrams(self, size: int) -> tuple[Hashes, Index]:
        """Hash every run of `size` words of each text; return the hashes, and the offset of each text's first.

        A text of fewer words has one, of all its words; a text of none has none.
        """
        counts = self.words.counts
        numbers = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(numbers, out=offsets[1:])
        starts = np.arange(offsets[-1]) + np.repeat(self.words.offsets[:-1] - offsets[:-1], numbers)
        ends = np.minimum(starts + size, np.repeat(self.words.offsets[1:], numbers))
        return self.word_runs(starts, ends), offsets

    def word_runs(self, starts: Index, ends: Index) -> Hashes:
        """Hash the words, by their numbers, from each of `starts` to before each of `ends`."""
        return _between(self._word_sums, starts, ends)

    @cached_property
    def _word_sums(self) -> Hashes:
        powers, _ = _powers(len(self.word_hashes))
        return _prefix_sums(self.word_hashes * powers[:-1])

    @cached_property
    def _sums(self) -> Hashes:
        """Return the sums of characters x power of place from the start: a polynomial hash is a difference of two."""
        (powers, _), numbers = _powers(len(self.codes)), _tables()[1]
        sums = np.zeros(len(self.codes) + 1, np.uint64)
        # A block at a time, which the nearest caches hold from one step to the next.
        for start in range(0, len(self.codes), _BLOCK):
            part = slice(start, start + _BLOCK)
            values = np.take(numbers, self.codes[part])
            values *= powers[:-1][part]
            values[:1] += sums[start : start + 1]
            np.cumsum(values, out=sums[1:][part])
        return sums


class HasText(Protocol):
    """Anything with a text, such as a document."""

    @property
    def text(self) -> str:
        """Return the text."""
        ...


T = TypeVar("T", bound=HasText)
Item = TypeVar("Item")


def batches(documents: Iterable[T], characters: int = BATCH_CHARACTERS) -> Iterator[list[T]]:
    """Take documents in groups of about so many characters, one at least."""
    return _grouped(documents, lambda document: len(document.text), characters)


def text_batches(texts: Iterable[str], characters: int = BATCH_CHARACTERS) -> Iterator[TextBatch]:
    """Take texts in batches of about so many characters, one text at least."""
    return map(TextBatch, _grouped(texts, len, characters))


def _grouped(items: Iterable[Item], length: Callable[[Item], int], characters: int) -> Iterator[list[Item]]:
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += length(item)
        if size >= characters:
            yield group
            group, size = [], 0
    if group:
        yield group


def runs(mask: NDArray[np.bool_]) -> tuple[Index, Index]:
    """Return where each run of true values starts, and the place behind its end; the last value must be false."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    if len(mask) and mask[0]:
        edges = np.concatenate([np.zeros(1, np.int64), edges])
    return edges[::2].copy(), edges[1::2].copy()


def mixed(values: Hashes) -> Hashes:
    """Spread 64-bit values evenly: the last steps of splitmix64 (Steele et al. 2014), which lose nothing."""
    found = values >> np.uint64(30)
    found ^= values
    found *= np.uint64(0xBF58476D1CE4E5B9)
    shifted = found >> np.uint64(27)
    found ^= shifted
    found *= np.uint64(0x94D049BB133111EB)
    np.right_shift(found, np.uint64(31), out=shifted)
    found ^= shifted
    return found


def _between(sums: Hashes, starts: Index, ends: Index) -> Hashes:
    """Hash what stands from each of `starts` to before each of `ends`; `sums` are of what stands before each place."""
    _, inverses = _powers(len(sums) - 1)
    values = sums[ends]
    values -= sums[starts]
    values *= inverses[starts]
    return mixed(values)


def _prefix_sums(values: Hashes) -> Hashes:
    sums = np.empty(len(values) + 1, np.uint64)
    sums[0] = 0
    np.cumsum(values, out=sums[1:])
    return sums


@cache
def _tables() -> tuple[NDArray[np.uint8], Hashes]:
    """Return the class of every code point, and a number for it that its other case shares."""
    classes = np.zeros(sys.maxunicode + 1, np.uint8)
    lower = np.arange(sys.maxunicode + 1, dtype=np.uint64)
    kinds = np.zeros(128, np.uint8)
    for letter, kind in zip("LNMPSZ", (LETTER, DIGIT, MARK, SIGN, SIGN, SPACE), strict=True):
        kinds[ord(letter)] = kind
    for first, end in _ASSIGNED:
        every = np.arange(first, end, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
        categories = "".join(map(unicodedata.category, every)).encode("ascii")
        general, special = np.frombuffer(categories, np.uint8).reshape(-1, 2).T
        classes[first:end] = kinds[general]
        for code in (first + np.flatnonzero((general == ord("L")) & (special == ord("u")))).tolist():
            classes[code] |= UPPER
            lowered = chr(code).lower()
            lower[code] = ord(lowered) if len(lowered) == 1 else code
        for code in (first + np.flatnonzero((general == ord("C")) & (special == ord("c")))).tolist():
            classes[code] = SPACE if chr(code).isspace() else 0
    for first, last in _WITHOUT_SPACES:
        part = classes[first : last + 1]
        part[(part & LETTER) != 0] |= ALONE
    return classes, mixed(lower * _CHARACTER)


class _Powers:
    """The powers of an odd number and of its inverse modulo 2^64, as many as were ever needed."""

    powers = np.ones(1, np.uint64)
    inverses = np.ones(1, np.uint64)


def _powers(length: int) -> tuple[Hashes, Hashes]:
    """Return the powers from 0 to `length`, both included."""
    if length >= len(_Powers.powers):
        size = max(length + 1, 2 * len(_Powers.powers))
        for name, step in (("powers", _STEP), ("inverses", pow(_STEP, -1, 1 << 64))):
            grown = np.full(size, step, np.uint64)
            grown[0] = 1
            setattr(_Powers, name, np.cumprod(grown))
    return _Powers.powers[: length + 1], _Powers.inverses[: length + 1]
