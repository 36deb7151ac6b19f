"""Lines repeated over documents, where they stand as boilerplate does: at the head, at the tail, or in a block.

Map `line_keys`, reduce `merged`, decide `repeated_lines`, apply `boilerplate`. A refrain, a stage direction or an idiom
of a language is repeated as well; what tells boilerplate is that it stands around a text and not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, TextBatch
from textus.corpus.passages.config import BoilerplateConfig

Mask = NDArray[np.bool_]
_LONGEST_LINE = 40
"""Words; a longer line is a paragraph, and a repeated paragraph a passage."""
_MOST_WORDS = 2**16 - 1
_INNER_LINES, _INNER_WORDS = 3, 12
"""A block in the middle of a document is boilerplate only from so many lines and words on."""
_CODE_LINES, _INDENTED_LINES = 0.25, 0.3
"""A text is code, or laid out as code is, if so many of its lines end as statements do, or are indented."""


@dataclass(frozen=True)
class LineCounts:
    """How many documents have each line, by the line's hash in increasing order."""

    keys: Hashes
    documents: Index


def line_keys(batch: TextBatch) -> LineCounts:
    r"""Count in how many texts of a batch each line is that could be boilerplate.

    Lines without a word never count. In code only comments do: `return` and `import os` are everywhere.

    >>> len(line_keys(TextBatch(["All rights reserved\n}\n", "all rights  reserved", "All rights reserved"])).keys)
    2
    """
    return counted(candidate_lines(batch).keys)


@dataclass(frozen=True)
class CandidateLines:
    """The lines of some texts that could be boilerplate, each once a text."""

    keys: Hashes
    words: NDArray[np.uint16]
    """How many words each has in its text, wherever it stands."""
    numbers: Index
    """How many of them each text has."""

    @classmethod
    def joined(cls, parts: Sequence[CandidateLines]) -> CandidateLines:
        """Put those of several batches behind one another."""
        return cls(*map(np.concatenate, zip(*((part.keys, part.words, part.numbers) for part in parts), strict=True)))

    def doubtful(self, repeated: Hashes, config: BoilerplateConfig) -> NDArray[np.bool_]:
        """Tell which texts may have boilerplate: no others have repeated lines of enough words in all."""
        words = np.where(is_in(self.keys, repeated), self.words, 0)
        ends = np.cumsum(self.numbers)
        sums = _cumulated(words.astype(np.int64))
        return np.asarray(sums[ends] - sums[ends - self.numbers] >= config.minimum_words)


def candidate_lines(batch: TextBatch) -> CandidateLines:
    """Find the lines of each text that could be boilerplate."""
    lines = _Lines(batch)
    candidates = np.flatnonzero(lines.candidates)
    keys, owners = batch.line_hashes[candidates], batch.lines.owners[candidates]
    order = np.lexsort((keys, owners))
    keys, owners = keys[order], owners[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
    first = np.flatnonzero(is_first)
    words = np.diff(_cumulated(lines.num_words[candidates[order]])[np.append(first, len(keys))])
    numbers = np.bincount(owners[first], minlength=len(batch))
    return CandidateLines(keys[first], np.minimum(words, _MOST_WORDS).astype(np.uint16), numbers)


def counted(keys: Hashes) -> LineCounts:
    """Count in how many texts each key is, given the keys of some texts, each once a text."""
    return _summed(np.sort(keys), np.ones(len(keys), np.int64))


def merged(parts: Iterable[LineCounts]) -> LineCounts:
    """Add up the counts of several batches, tasks or runs."""
    parts = list(parts)
    keys = np.concatenate([part.keys for part in parts] or [np.zeros(0, np.uint64)])
    documents = np.concatenate([part.documents for part in parts] or [np.zeros(0, np.int64)])
    order = np.argsort(keys, kind="stable")
    return _summed(keys[order], documents[order])


def repeated_lines(counts: LineCounts, num_documents: int, config: BoilerplateConfig) -> Hashes:
    """Return the keys of lines that enough documents have, in increasing order.

    Count different documents only: where copies are counted, every line of a copy is repeated.
    """
    least = max(config.minimum_documents, config.minimum_share * num_documents)
    return counts.keys[counts.documents >= least]


def boilerplate(batch: TextBatch, repeated: Hashes, config: BoilerplateConfig) -> Mask:
    """Tell which lines of a batch are boilerplate, by the keys of repeated lines.

    A block is a run of repeated lines that no blank line parts. It is boilerplate if it has enough words, and nothing
    but boilerplate is before it, or behind it, in its document; in the middle it must be longer.
    """
    lines = _Lines(batch)
    is_repeated = lines.candidates & is_in(batch.line_hashes, repeated)
    in_block = is_repeated | lines.is_neutral
    starts, ends = _runs(in_block, batch.lines.owners)
    words = _cumulated(np.where(in_block, lines.num_words, 0))
    num_words, num_lines = words[ends] - words[starts], ends - starts
    is_enough = num_words >= config.minimum_words
    owners = batch.lines.owners[starts]
    first, last = batch.lines.offsets[owners], batch.lines.offsets[owners + 1]
    others = _cumulated(~_spread(starts, ends, is_enough, len(in_block)) & ~lines.is_blank)
    at_head, at_tail = others[starts] == others[first], others[last] == others[ends]
    is_long = (num_lines >= _INNER_LINES) & (num_words >= max(_INNER_WORDS, config.minimum_words))
    found = _spread(starts, ends, is_enough & (at_head | at_tail | is_long), len(in_block))
    return found & ~_is_most(batch, lines.num_words, found, config.most)[batch.lines.owners]


def remove_lines(batch: TextBatch, lines: Mask) -> list[str]:
    """Return the texts without some of their lines, and without the blank lines that were around these."""
    changed = np.zeros(len(batch), bool)
    changed[batch.lines.owners[lines]] = True
    return [_without(batch, number, lines) if changed[number] else batch.text(number) for number in range(len(batch))]


def _without(batch: TextBatch, number: int, removed: Mask) -> str:
    kept: list[str] = []
    after_gap = False
    for line in range(int(batch.lines.offsets[number]), int(batch.lines.offsets[number + 1])):
        if removed[line]:
            after_gap = True
            continue
        text = batch.piece(int(batch.lines.starts[line]), int(batch.lines.ends[line]))
        # Of the blank lines before and behind what was removed, those before it stay.
        if after_gap and not text.strip() and (not kept or not kept[-1].strip()):
            continue
        kept.append(text)
        after_gap = after_gap and not text.strip()
    while after_gap and kept and not kept[-1].strip():
        kept.pop()
    return "\n".join(kept)


class _Lines:
    """What each line of a batch is."""

    def __init__(self, batch: TextBatch) -> None:
        starts, ends = batch.trimmed_lines
        words = batch.words.starts
        self.num_words = np.searchsorted(words, ends) - np.searchsorted(words, starts)
        self.is_blank = starts == ends
        is_comment, is_code = self._layout(batch, starts, ends)
        may_be = is_comment | ~is_code[batch.lines.owners]
        self.candidates: Mask = (self.num_words > 0) & (self.num_words <= _LONGEST_LINE) & may_be
        self.is_neutral: Mask = (self.num_words == 0) & ~self.is_blank & may_be
        """Rules, stars and empty comment lines: they belong to the block around them."""

    def _layout(self, batch: TextBatch, starts: Index, ends: Index) -> tuple[Mask, Mask]:
        """Tell which lines are comments, and which texts are code."""
        codes, solid = batch.codes, ~self.is_blank
        places = len(codes) - 1
        first, second, last = (codes[np.clip(at, 0, places)] for at in (starts, starts + 1, ends - 1))
        signs, pairs, statements = _signs()
        # `# text` is a comment, `#include` and `#!/bin/sh` are not.
        is_pair = pairs[np.minimum(first, 127), np.minimum(second, 127)] & (second < 128)
        is_comment = solid & (first < 128) & (signs[np.minimum(first, 127)] | is_pair)
        is_statement = solid & (last < 128) & statements[np.minimum(last, 127)]
        is_indented = solid & (starts > batch.lines.starts)
        per_text = [_cumulated(mask)[batch.lines.offsets] for mask in (solid, is_statement, is_indented)]
        lines, statement_lines, indented_lines = (np.diff(total) for total in per_text)
        return is_comment, (statement_lines > _CODE_LINES * lines) | (indented_lines > _INDENTED_LINES * lines)


@cache
def _signs() -> tuple[Mask, Mask, Mask]:
    """Return the characters that begin a comment, the pairs that do, and the characters that end a statement."""
    signs, pairs, statements = np.zeros(128, bool), np.zeros((128, 128), bool), np.zeros(128, bool)
    signs[[ord(char) for char in "*;%"]] = True
    for pair in ("//", "/*", "--", "##", "# ", "#\n", "#\t", '""'):
        pairs[ord(pair[0]), ord(pair[1])] = True
    statements[[ord(char) for char in "{}()[];:,\\"]] = True
    return signs, pairs, statements


def _is_most(batch: TextBatch, num_words: Index, found: Mask, most: float) -> Mask:
    """Tell of which texts more than `most` would go."""
    gone = np.diff(_cumulated(np.where(found, num_words, 0))[batch.lines.offsets])
    return gone > most * batch.words.counts


def _runs(mask: Mask, owners: Index) -> tuple[Index, Index]:
    """Return where runs of true values of one owner start and end."""
    is_border = np.ones(len(mask) + 1, bool)
    is_border[1:-1] = (mask[1:] != mask[:-1]) | (owners[1:] != owners[:-1])
    borders = np.flatnonzero(is_border) if len(mask) else np.zeros(1, np.int64)
    is_run = mask[borders[:-1]]
    return borders[:-1][is_run], borders[1:][is_run]


def _spread(starts: Index, ends: Index, chosen: Mask, length: int) -> Mask:
    """Mark all places of the chosen runs."""
    steps = np.zeros(length + 1, np.int64)
    np.add.at(steps, starts[chosen], 1)
    np.add.at(steps, ends[chosen], -1)
    return np.cumsum(steps[:-1]) > 0


def _cumulated(values: NDArray[np.bool_] | Index) -> Index:
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def is_in(values: Hashes, ordered: Hashes) -> Mask:
    """Tell which values are among some ordered ones."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: Mask = ordered[places] == values
    return found


def _summed(keys: Hashes, counts: Index) -> LineCounts:
    """Add up the counts of equal neighbours."""
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(keys)), bool), keys[1:] != keys[:-1]]))
    return LineCounts(keys[starts], np.add.reduceat(counts, starts) if len(keys) else counts)
