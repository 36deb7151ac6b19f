"""A page on which every token is coloured by its surprise: no script, nothing fetched, text only ever as text."""

from __future__ import annotations

import codecs
import html
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from textus.evaluation.surprise import Passage, Read, Surprise
from textus.report import Chart, Prose, Report, Section, Table, number
from textus.tokenizer.tokenizer import Tokenizer

STEPS = (1, 2, 4, 6, 8, 12)
"""Bits at which a colour gives way to the next."""
_SHADES = (0.0, 0.12, 0.24, 0.38, 0.52, 0.68, 0.85)
_RUN = 50
_SHOWN = {"\n": "↵\n", "\t": "→\t", "\r": "␍", " ": " "}


@dataclass(frozen=True)
class Coloured:
    """A passage as a section of a report."""

    passage: Passage
    tokenizer: Tokenizer

    def text(self) -> str:
        """Return the most surprising tokens, since a terminal has little room."""
        return hardest([self.passage], self.tokenizer).text()

    def markdown(self) -> str:
        """Return the same."""
        return hardest([self.passage], self.tokenizer).markdown()

    def html(self) -> str:
        """Return the text, each token with what stands behind its colour."""
        body = "".join(self._spans())
        left = f"<p>{self.passage.left_out:,} more tokens are left out.</p>" if self.passage.left_out else ""
        return f'<style>{_style()}</style>{_legend()}<pre class="surprise">{body}</pre>{left}'

    def as_dict(self) -> Any:
        """Return bits by token."""
        return [[self.tokenizer.token_text(one.token), one.bits] for one in self.passage.tokens]

    def _spans(self) -> Iterator[str]:
        for one, shown in zip(self.passage.tokens, shown_tokens(self.passage.tokens, self.tokenizer), strict=True):
            level = sum(one.bits >= step for step in STEPS)
            # a line break inside the attribute is one in what hovers
            told = html.escape("\n".join(self._told(one)), quote=True).replace("\n", "&#10;")
            yield f'<span class="s{level}" title="{told}">{html.escape(shown)}</span>'

    def _told(self, one: Read) -> Iterator[str]:
        yield f"'{self.tokenizer.token_text(one.token)}'  {one.bits:.2f} bits, {2**-one.bits:.3%}"
        for other, share in one.alternatives:
            yield f"{share:.2%}  '{self.tokenizer.token_text(other)}'"


def shown_tokens(tokens: Sequence[Read], tokenizer: Tokenizer) -> Iterator[str]:
    """Yield tokens as they are read: line breaks and tabs marked, what cannot be shown escaped.

    A character that is cut over tokens stands where it is whole, and a dotted circle where it has only begun.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for one in tokens:
        if one.token == tokenizer.end:
            yield "⏹"
            continue
        text = decoder.decode(tokenizer.token_bytes(one.token))
        marked = (_SHOWN.get(c) or (c if c.isprintable() else c.encode("unicode_escape").decode()) for c in text)
        yield "".join(marked) or "◌"


def hardest(passages: Sequence[Passage], tokenizer: Tokenizer, most: int = 15) -> Table:
    """Return the most surprising tokens of passages, each with what stood before it."""
    places = [(number, place) for number, passage in enumerate(passages) for place in range(len(passage.tokens))]
    places.sort(key=lambda at: -passages[at[0]].tokens[at[1]].bits)
    rows = []
    for which, place in places[:most]:
        tokens, passage = passages[which].tokens, passages[which]
        *before, stood = shown_tokens(tokens[max(0, place - 8) : place + 1], tokenizer)
        after = "".join(before).replace("\n", "")[-30:]
        expected = tokenizer.token_text(tokens[place].alternatives[0][0]) if tokens[place].alternatives else ""
        stood = stood.replace("\n", "")
        rows.append((passage.source, place + 1, after, stood, round(tokens[place].bits, 2), expected))
    return Table(("source", "token", "after", "stood", "bits", "expected"), tuple(rows))


def summary(found: Surprise, tokenizer: Tokenizer) -> Report:
    """Return what a terminal has room for."""
    sections: list[tuple[str, Section]] = [
        ("In all", Table.of(_totals(found))),
        ("Most surprising", hardest(found.passages, tokenizer)),
        ("What these mean", Prose(_meaning(found))),
    ]
    return Report("Surprise", tuple(sections))


def page(found: Surprise, tokenizer: Tokenizer, model: str) -> Report:
    """Return the report of what a model made of some documents."""
    sections: list[tuple[str, Section]] = [
        ("In all", Table.of(_totals(found))),
        ("What these mean", Prose(_meaning(found))),
    ]
    for passage in found.passages:
        if passage.tokens:
            sections += [
                (passage.source, Coloured(passage, tokenizer)),
                (f"Surprise along {passage.source}", _curve(passage)),
            ]
    return Report(f"Surprise of {model}", tuple(sections))


def _totals(found: Surprise) -> dict[str, Any]:
    tokens = sum(len(passage.tokens) for passage in found.passages)
    num_bytes = sum(passage.num_bytes for passage in found.passages)
    return {
        "documents": len(found.passages),
        "tokens": tokens,
        "bits a token": found.bits / tokens,
        "bits a byte": found.bits / num_bytes if num_bytes else "no bytes",
    }


def _meaning(found: Surprise) -> str:
    words = "Each token is coloured by its surprise, -log2 p: 1 bit is a coin's throw, 10 bits one in a thousand. "
    if found.is_pseudo:
        words += (
            "The model reads both ways: each token was hidden, with the later pieces of its word, and read from both "
            "sides. That is a pseudo-likelihood, no code length, and not to be compared with a causal model's."
        )
    else:
        words += "It was predicted from what stands before it; ⏹ is the end of the text."
    if found.documents_left_out:
        words += f" {found.documents_left_out:,} more documents are left out, since a page can hold only so much."
    return words


def _curve(passage: Passage) -> Chart:
    """Draw the mean so far, and that of the last tokens."""
    bits = [one.bits for one in passage.tokens]
    so_far, recent, total, run = [], [], 0.0, 0.0
    for place, value in enumerate(bits):
        total, run = total + value, run + value
        if place >= _RUN:
            run -= bits[place - _RUN]
        so_far.append((float(place + 1), total / (place + 1)))
        recent.append((float(place + 1), run / min(place + 1, _RUN)))
    return Chart("Surprise along the text", "token", "bits a token", {f"last {_RUN}": recent, "so far": so_far})


def _legend() -> str:
    names = [f"under {STEPS[0]}", *(f"{low} to {high}" for low, high in itertools.pairwise(STEPS))]
    boxes = " ".join(
        f'<span class="s{level}">{name}</span>' for level, name in enumerate([*names, f"{number(STEPS[-1])} and more"])
    )
    return f'<p class="surprise">bits: {boxes}</p>'


def _style() -> str:
    shades = "".join(
        f".surprise .s{level}{{background:rgba(214,86,42,{shade})}}" for level, shade in enumerate(_SHADES)
    )
    return f"pre.surprise{{line-height:1.9;background:none}}.surprise span{{border-radius:.2em}}{shades}"
