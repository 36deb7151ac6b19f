"""Personal data and secrets: what the corpus stage finds, with every place in the text as it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import find
from textus.safety.span import Span

_ROUNDS = 8
_BLANK = "<"
"""In no finding and at the edge of none, as the placeholders of the corpus stage."""


@dataclass(frozen=True)
class Personal:
    """Find e-mail addresses, telephone numbers, cards (Luhn), IBANs, social security numbers, IP addresses, secrets.

    >>> [(one.category, one.start, one.end) for one in Personal()("Card 4111 1111 1111 1111, ada@example.org")]
    [('card', 5, 24), ('email', 26, 41)]
    """

    name: str = "personal"
    categories: Sequence[str] = KINDS
    checked: bool = False
    """Leave out what has the shape and cannot exist, such as an IBAN with wrong check digits."""

    def __call__(self, text: str) -> Iterator[Span]:
        """Find personal data; what overlaps a finding is looked at again with that one blotted out."""
        for _ in range(_ROUNDS):
            found = find(text, checked=self.checked)
            if not found:
                return
            pieces, at = [], 0
            for one in found:
                yield Span(one.start, one.end, one.kind, self.name)
                pieces += [text[at : one.start], _BLANK * (one.end - one.start)]
                at = one.end
            text = "".join([*pieces, text[at:]])
