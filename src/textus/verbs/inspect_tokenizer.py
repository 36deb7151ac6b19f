"""Tell what a vocabulary is like, by itself, on the texts beside it, and side by side with others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.corpus.split import Split
from textus.errors import TextusError
from textus.report import Prose, Report, Section, Table
from textus.tokenizer import fertility
from textus.tokenizer.fertility import Fertility
from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.train import SIZES

MOST_BYTES = 4_000_000
"""Text of each part that is measured, taken evenly from the whole."""
MOST_SOURCES = 20
FUZZED = 1000
_SHOWN = 24


@dataclass(frozen=True)
class _Texts:
    """The documents that tokenizers are measured on."""

    held_out: list[Document]
    train: list[Document]
    terms: list[str]


@dataclass(frozen=True)
class _Measured:
    """One tokenizer on these texts."""

    name: str
    tokenizer: Tokenizer
    sources: list[Fertility]
    terms: list[str]
    unused: list[int]
    lost: list[str]


def tokenizer_report(tokenizer: Tokenizer, place: Path, compare: Sequence[Path] = ()) -> Report:
    """Report on the tokenizer at `place`, on the corpus beside it where there is one, with others to `compare`."""
    texts = _texts(place)
    ours = _measure(place.name or "tokenizer", tokenizer, texts)
    others = [_measure(str(path), Tokenizer.load(path), texts) for path in compare]
    sections: list[tuple[str, Section]] = [("Tokenizer", Table.of(_facts(ours, texts)))]
    if (place / SIZES).is_file():
        sections.append(("Vocabulary sizes that were measured", _sizes(place / SIZES)))
    if len(ours.sources) > 1:
        sections.append(("By source (validation)", _by_source(ours)))
    if others:
        sections.append(("Side by side", _side_by_side([ours, *others])))
    if texts.terms:
        split = [term for term in texts.terms if term not in set(ours.terms)][:_SHOWN]
        sections.append(("Terms in more than one token", Prose(" ".join(split) or "none")))
    lengths = [(len(tokenizer.token_bytes(token)), token) for token in range(tokenizer.vocab_size)]
    longest = [token for _, token in sorted(lengths, reverse=True)[:_SHOWN]]
    sections.append(("Longest entries", _entries(tokenizer, longest)))
    sections.append(("Last learnt entries", _entries(tokenizer, range(tokenizer.vocab_size)[-_SHOWN:])))
    if ours.unused:
        sections.append(("Unused entries", _entries(tokenizer, ours.unused[:_SHOWN])))
    return Report("Tokenizer", tuple(sections))


def _facts(ours: _Measured, texts: _Texts) -> dict[str, Any]:
    tokenizer = ours.tokenizer
    facts: dict[str, Any] = {
        "kind": tokenizer.kind,
        "vocabulary": tokenizer.vocab_size,
        "special tokens": " ".join(tokenizer.token_text(token) for token in sorted(tokenizer.special)),
        "fingerprint": fingerprint.short(tokenizer.fingerprint),
    }
    if texts.held_out:
        whole = fertility.total(ours.sources)
        facts["bytes per token (validation)"] = whole.bytes_per_token
        facts["tokens per word (validation)"] = whole.tokens_per_word
    if texts.train:
        seen = sum(document.num_bytes for document in texts.train) / 1e6
        facts[f"entries unused ({seen:.3g} MB of training text)"] = len(ours.unused)
    if texts.terms:
        facts["terms that are one token"] = f"{len(ours.terms)} of {len(texts.terms)}"
    facts["random texts that come back"] = f"{FUZZED - len(ours.lost)} of {FUZZED}"
    return facts


def _by_source(ours: _Measured) -> Table:
    rows = ours.sources[:MOST_SOURCES]
    if len(ours.sources) > MOST_SOURCES:
        rest = fertility.total(ours.sources[MOST_SOURCES:])
        rows = [*rows, Fertility("others", rest.num_documents, rest.num_bytes, rest.num_words, rest.num_tokens)]
    return Table(
        ("source", "documents", "bytes", "bytes per token", "tokens per word"),
        tuple((row.source, row.num_documents, row.num_bytes, row.bytes_per_token, row.tokens_per_word) for row in rows),
    )


def _side_by_side(all_of_them: Sequence[_Measured]) -> Table:
    sources = [row.source for row in all_of_them[0].sources[:MOST_SOURCES]]
    rows: list[tuple[Any, ...]] = [
        ("kind", *(one.tokenizer.kind for one in all_of_them)),
        ("vocabulary", *(one.tokenizer.vocab_size for one in all_of_them)),
        ("random texts that come back", *(FUZZED - len(one.lost) for one in all_of_them)),
    ]
    if sources:
        totals = [fertility.total(one.sources) for one in all_of_them]
        rows += [
            ("bytes per token", *(whole.bytes_per_token for whole in totals)),
            ("tokens per word", *(whole.tokens_per_word for whole in totals)),
            ("terms that are one token", *(len(one.terms) for one in all_of_them)),
            ("entries unused", *(len(one.unused) for one in all_of_them)),
        ]
    for source in sources if len(sources) > 1 else []:
        found = [next(row for row in one.sources if row.source == source) for one in all_of_them]
        rows.append((f"bytes per token: {source}", *(row.bytes_per_token for row in found)))
    return Table(("", *(one.name for one in all_of_them)), tuple(rows))


def _measure(name: str, tokenizer: Tokenizer, texts: _Texts) -> _Measured:
    return _Measured(
        name,
        tokenizer,
        fertility.by_source(tokenizer, texts.held_out),
        fertility.in_one_token(tokenizer, texts.terms),
        fertility.unused(tokenizer, (document.text for document in texts.train)) if texts.train else [],
        fertility.fuzz(tokenizer, FUZZED),
    )


def _texts(place: Path) -> _Texts:
    """Take documents of the corpus that stands beside a tokenizer; none where none does."""
    directory = (place.parent if place.is_file() else place).resolve().parent / "corpus"
    try:
        corpus = Corpus.open(directory)
    except TextusError:
        return _Texts([], [], [])
    train = list(_some(corpus, "train"))
    return _Texts(list(_some(corpus, "validation")), train, fertility.terms(train))


def _some(corpus: Corpus, split: Split) -> Iterator[Document]:
    """Yield documents spread evenly over a part, of about `MOST_BYTES`."""
    share = min(1.0, MOST_BYTES / max(1, corpus.num_bytes(split)))
    seen = taken = 0
    for document in corpus.documents(split):
        if taken <= seen * share:
            taken += document.num_bytes
            yield document
        seen += document.num_bytes


def _sizes(path: Path) -> Table:
    found = storage.read_json(path)
    names = list(found["sizes"][0])
    rows = [[size[name] for name in names] for size in found["sizes"]]
    chosen = ["<- chosen" if size["vocab_size"] == found["chosen"] else "" for size in found["sizes"]]
    header = (*(name.replace("_", " ") for name in names), "")
    return Table(header, tuple((*row, mark) for row, mark in zip(rows, chosen, strict=True)))


def _entries(tokenizer: Tokenizer, tokens: Sequence[int]) -> Prose:
    return Prose(" ".join(f"'{tokenizer.token_text(token)}'" for token in tokens))
