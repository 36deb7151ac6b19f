"""A longer vocabulary: old tokens stay, new ones are the best merges by brute force, and every text survives."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.errors import TokenizerError
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.extend import extended
from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.train import train_tokenizer

OLD = ["the cat sat on the mat", "that is the hat of the cat"] * 4
NEW = ["adverse reactions were reported", "adverse events: no reactions", "reported reactions, adverse effect"] * 5


@pytest.fixture(scope="module")
def old() -> Tokenizer:
    return train_tokenizer(OLD, TokenizerConfig(vocab_size=275), sum(map(len, OLD)))


def test_new_tokens_are_the_commonest_pairs_of_what_the_old_ones_leave(old: Tokenizer) -> None:
    found = extended(old, NEW, most=6, least_saving=2)
    words: Counter[tuple[int, ...]] = Counter()
    for text in NEW:
        tokens, starts = old.encode(text), old.word_starts(old.encode(text))
        cuts = [at for at, is_start in enumerate(starts) if is_start] + [len(tokens)]
        words.update(tuple(tokens[a:b]) for a, b in itertools.pairwise(cuts))
    for number, saved in enumerate(found.saved):
        pairs: Counter[tuple[int, int]] = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        assert pairs[best] == saved
        merged: Counter[tuple[int, ...]] = Counter()
        for word, count in words.items():
            made: list[int] = []
            for token in word:
                if made and (made[-1], token) == best:
                    made[-1] = found.first + number
                else:
                    made.append(token)
            merged[tuple(made)] += count
        words = merged
    assert len(found.saved) == 6 and list(found.saved) == sorted(found.saved, reverse=True)
    assert sum(len(found.tokenizer.encode(text)) for text in NEW) == sum(len(word) * n for word, n in words.items())
    assert sum(len(old.encode(text)) - len(found.tokenizer.encode(text)) for text in NEW) == sum(found.saved)


def test_old_tokens_keep_their_numbers_and_new_ones_know_their_parts(old: Tokenizer) -> None:
    found = extended(old, NEW, most=10, least_saving=2)
    new = found.tokenizer
    assert new.vocab_size == old.vocab_size + 10 and found.first == old.vocab_size
    assert [new.token_bytes(token) for token in range(old.vocab_size)] == [
        old.token_bytes(token) for token in range(old.vocab_size)
    ]
    for token, parts in enumerate(found.made_of, found.first):
        assert max(parts) < found.first
        assert b"".join(map(old.token_bytes, parts)) == new.token_bytes(token)
    assert (new.end, new.special) == (old.end, old.special)
    assert all(new.encode(text) == old.encode(text) for text in ("zz", "qu", "0"))


@settings(max_examples=20)
@given(st.text())
def test_every_text_survives(text: str) -> None:
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    bytewise = Tokenizer(trained({name: token for token, name in enumerate(names)}, []))
    new = extended(bytewise, NEW, most=20, least_saving=2).tokenizer
    assert new.decode(new.encode(text)) == text
    assert len(new.encode(text)) <= len(bytewise.encode(text))


def test_transformers_reads_the_same_tokens(old: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    new = extended(old, NEW, most=10, least_saving=2).tokenizer
    new.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in [*NEW[:3], *OLD[:2], "İstanbul 😀"]:
        assert theirs.encode(text, add_special_tokens=False) == new.encode(text)
    assert Tokenizer.load(tmp_path).fingerprint == new.fingerprint


def test_special_tokens_behind_the_vocabulary_keep_their_numbers(old: Tokenizer) -> None:
    names = ["<|tool|>", "<|call|>"]
    longer = old.with_special(names)
    new = extended(longer, NEW, most=4, least_saving=2).tokenizer
    for token in range(longer.vocab_size):
        assert new.token_bytes(token) == longer.token_bytes(token)
    assert new.special == longer.special
    text = "a <|tool|> is <|call|>ed: adverse reactions"
    assert new.decode(new.encode(text)) == text and new.special.isdisjoint(new.encode(text))


def test_merges_are_written_as_the_file_writes_them(old: Tokenizer) -> None:
    values = json.loads(old.content)
    values["model"]["merges"] = [" ".join(pair) for pair in values["model"]["merges"]]
    found = extended(Tokenizer(json.dumps(values)), NEW, most=3, least_saving=2)
    assert all(isinstance(pair, str) for pair in json.loads(found.tokenizer.content)["model"]["merges"])
    assert found.made_of == extended(old, NEW, most=3, least_saving=2).made_of


def test_what_saves_too_little_is_not_added(old: Tokenizer) -> None:
    found = extended(old, NEW, most=500, least_saving=10)
    assert 0 < len(found.saved) < 500 and min(found.saved) >= 10
    assert extended(old, OLD, most=5, least_saving=10**6).tokenizer.fingerprint == old.fingerprint
    assert extended(old, [], most=5, least_saving=2).made_of == ()


def test_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"]))
    with pytest.raises(TokenizerError, match="a WordPiece vocabulary cannot be extended"):
        extended(Tokenizer.load(tmp_path), NEW, most=5, least_saving=2)
