"""Learn further merges for a vocabulary that is there, from another text: its old tokens, and their numbers, stay.

The old merges are done first, in their order, and new ones are learnt from what they leave, as the old ones were from
bytes. A new token saves as many tokens as its pair occurs, which is what it is chosen by. Since new merges stand behind
the old ones in `tokenizer.json`, every engine that reads the file encodes by them as they were learnt.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer as Engine

from textus.errors import TokenizerError
from textus.tokenizer.alphabet import BYTES, to_bytes
from textus.tokenizer.merges import Merge, learn_more
from textus.tokenizer.pieces import pieces
from textus.tokenizer.tokenizer import Tokenizer, well_formed


@dataclass(frozen=True, eq=False)
class Extended:
    """A vocabulary with new tokens."""

    tokenizer: Tokenizer
    made_of: tuple[tuple[int, ...], ...]
    """Of each new token, in the order of their numbers, the old tokens that stood in its place."""
    saved: tuple[int, ...]
    """How many tokens of the text each of them saved when it was added."""

    @property
    def first(self) -> int:
        """Return the number of the first new token."""
        return self.tokenizer.vocab_size - len(self.made_of)


def extended(tokenizer: Tokenizer, texts: Iterable[str], most: int, least_saving: int) -> Extended:
    """Return a vocabulary with at most `most` new tokens; each saves `least_saving` tokens of `texts` or more.

    Raises `TokenizerError` for one that is no byte-level BPE.
    """
    if tokenizer.kind != "byte-level BPE" or not tokenizer.is_lossless:
        raise TokenizerError(
            f"a {tokenizer.kind} vocabulary cannot be extended",
            hint="only a byte-level BPE can: leave vocabulary.add out",
        )
    values = json.loads(tokenizer.content)
    model: dict[str, Any] = values["model"]
    vocabulary: dict[str, int] = model["vocab"]
    for entry in values.get("added_tokens", ()):
        # those outside are numbered behind the vocabulary, wherever it ends: inside they keep their numbers
        vocabulary.setdefault(entry["content"], entry["id"])
    known = [_merge(pair, vocabulary) for pair in model["merges"]]
    counts = _words(tokenizer.content, texts)
    byte_tokens = [vocabulary[character] for character, _ in sorted(BYTES.items(), key=lambda item: item[1])]
    names = {token: name for name, token in vocabulary.items()}
    made_of: dict[int, tuple[int, ...]] = {token: (token,) for token in names}
    merges, saved = _Names(names, made_of), []
    learnt = learn_more(
        list(counts), list(counts.values()), byte_tokens, known, tokenizer.vocab_size, least_saving, merges.is_new
    )
    for (left, right, token), count in learnt:
        merges.add(left, right, token)
        saved.append(count)
        if len(saved) == most:
            break
    new = range(tokenizer.vocab_size, tokenizer.vocab_size + len(saved))
    as_lists = not model["merges"] or isinstance(model["merges"][0], list)
    for token in new:
        vocabulary[names[token]] = token
    model["merges"] += [list(pair) if as_lists else " ".join(pair) for pair in merges.pairs]
    content = json.dumps(values, ensure_ascii=False, indent=2) if new else tokenizer.content
    return Extended(tokenizer.with_content(content), tuple(made_of[token] for token in new), tuple(saved))


@dataclass
class _Names:
    """What tokens are called and made of, those that are being learnt included."""

    names: dict[int, str]
    made_of: dict[int, tuple[int, ...]]

    def __post_init__(self) -> None:
        self._taken = set(self.names.values())
        self.pairs: list[tuple[str, str]] = []

    def is_new(self, left: int, right: int) -> bool:
        """Tell whether no token stands for these bytes yet; one may, by other merges."""
        return self.names[left] + self.names[right] not in self._taken

    def add(self, left: int, right: int, token: int) -> None:
        """Take up a merge."""
        self.pairs.append((self.names[left], self.names[right]))
        self.names[token] = "".join(self.pairs[-1])
        self.made_of[token] = self.made_of[left] + self.made_of[right]
        self._taken.add(self.names[token])


def _merge(pair: Any, vocabulary: Mapping[str, int]) -> Merge:
    left, right = pair if isinstance(pair, list) else pair.split(" ")
    return vocabulary[left], vocabulary[right], vocabulary[left + right]


def _words(content: str, texts: Iterable[str]) -> dict[bytes, int]:
    """Count the words of texts as the engine cuts them."""
    before = Engine.from_str(content).pre_tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        for piece in pieces(well_formed(text)):
            counts.update(word for word, _ in before.pre_tokenize_str(piece))
    return {to_bytes(word): count for word, count in sorted(counts.items())}
