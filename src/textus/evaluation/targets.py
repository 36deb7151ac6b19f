"""Which tokens of documents can be predicted from windows of any of several lengths: the targets, and their windows."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from textus.errors import CorpusError, TextusError
from textus.evaluation.estimate import MINIMUM_DOCUMENTS, Measured, Tokens
from textus.tokenizer.tokenizer import Tokenizer

_UNIT_TARGETS = 1024


@dataclass(frozen=True, eq=False)
class Targets:
    """The documents, and which of their tokens are targets: units of some 1000 tokens in a row."""

    documents: Callable[[], Iterable[Measured]]
    longest: int
    """So many tokens stand before each target."""
    unit_size: int
    chosen: Bool[ndarray, " all"]
    """Which units are measured."""
    owners: Int[ndarray, " units"]
    """The document of each of these, numbered without gaps."""
    unit_tokens: Int[ndarray, " units"]
    unit_bytes: Int[ndarray, " units"]
    all_documents: int
    all_targets: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, documents: Callable[[], Iterable[Measured]], longest: int, most: int) -> Targets:
        """Go through documents (END, text, END) and choose about `most` targets from all over.

        Memory is 24 bytes for every thousand tokens. Raises `CorpusError` where no document is long enough.
        """
        lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)])
        lengths[tokenizer.end] = 0
        size = max(_UNIT_TARGETS, longest // 2)
        owners, counts, sizes = array("q"), array("q"), array("q")
        number = most_tokens = 0
        for number, (tokens, _) in enumerate(documents(), 1):
            most_tokens = max(most_tokens, len(tokens) - 1)
            for begin, end in _units(len(tokens), longest, size):
                owners.append(number)
                counts.append(end - begin)
                sizes.append(int(lengths[np.asarray(tokens[begin:end], np.int64)].sum()))
        of, tokens_of, bytes_of = (np.array(values, np.int64) for values in (owners, counts, sizes))
        chosen = _evenly(tokens_of, most)
        if not bytes_of[chosen].sum():
            raise _too_short(number, most_tokens, longest)
        _, numbered = np.unique(of[chosen], return_inverse=True)
        parts = numbered, tokens_of[chosen], bytes_of[chosen]
        return cls(documents, longest, size, chosen, *parts, number, int(tokens_of.sum()))

    @property
    def count(self) -> int:
        """How many targets there are."""
        return int(self.unit_tokens.sum())

    @property
    def num_documents(self) -> int:
        """How many documents have any."""
        return int(self.owners[-1]) + 1

    @property
    def by_document(self) -> bool:
        """Tell whether errors are over documents, or over units, since documents are few."""
        return self.num_documents >= MINIMUM_DOCUMENTS

    def windows(self, length: int) -> Iterator[tuple[Tokens, int, int]]:
        """Yield `length + 1` tokens, how many of the last are new targets, and the number of their unit."""
        step, place, unit = max(1, length // 2), 0, 0
        for tokens, _ in self.documents():
            for begin, end in _units(len(tokens), self.longest, self.unit_size):
                place += 1
                if not self.chosen[place - 1]:
                    continue
                for new in range(begin, end, step):
                    stop = min(new + step, end)
                    yield tokens[stop - 1 - length : stop], stop - new, unit
                unit += 1

    def summed(self, values: Float[ndarray, " units"]) -> Float[ndarray, " some"]:
        """Return sums by document, or by unit."""
        if not self.by_document:
            return values
        found: Float[ndarray, " some"] = np.bincount(self.owners, weights=values)
        return found

    def note(self, lengths: Sequence[int]) -> str:
        """Say what was measured on."""
        kind = "runs of text of about a thousand tokens, since documents are few"
        if self.by_document:
            kind = f"{self.num_documents} documents"
        cut = "" if self.count == self.all_targets else f" (of {self.all_targets:,}, chosen evenly)"
        return (
            f"every length scores the same {self.count:,} tokens{cut}: those with {lengths[-1]:,} or more of their "
            f"document before them, from {self.num_documents:,} of {self.all_documents:,} documents; errors are over "
            f"{kind}"
        )


def _units(length: int, longest: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(longest, length, size):
        yield begin, min(begin + size, length)


def _evenly(sizes: Int[ndarray, " units"], most: int) -> Bool[ndarray, " units"]:
    """Choose units from all over whose tokens are about `most`, all where they are fewer, one at least."""
    share = min(1.0, most / max(1, sizes.sum()))
    chosen: Bool[ndarray, " units"] = np.diff(np.ceil(np.arange(len(sizes) + 1) * share)) > 0
    return chosen


def _too_short(documents: int, most_tokens: int, longest: int) -> TextusError:
    if most_tokens < 2:
        return CorpusError("there is no text to measure", hint="give documents that are not empty")
    return CorpusError(
        f"the longest of {documents} documents has {most_tokens} tokens: none has {longest} before it",
        hint=f"give --context lengths below {most_tokens - 1}, or longer texts",
    )
