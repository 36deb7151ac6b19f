"""Write several tokens for the price of one: guess what comes, and let the model check all guesses in one pass.

The model draws each token with the random numbers of its place, as it would without a guess; while the guess is what it
draws, the next place is already computed. So the text is the very text that the model writes alone, token for token,
whoever guesses: no ratio of probabilities is needed to keep the distribution, and none can be got wrong. A guess of
probability p is right with probability p, as in rejection sampling (arXiv:2211.17192). A model that guesses draws with
the same numbers, and two models whose distributions are at distance d then agree with probability (1 - d) / (1 + d) at
least (arXiv:2408.07978).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from textus.decoding.history import NO_TOKEN, History
from textus.decoding.piece import Piece
from textus.decoding.reader import Reader
from textus.decoding.sampler import Places
from textus.decoding.step import Telling, choose
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Writer
from textus.errors import ConfigError
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer


class Draft(Protocol):
    """Guess how a text goes on."""

    def begin(self, model: Transformer, tokenizer: Tokenizer) -> None:
        """Refuse a model that this cannot guess for."""
        ...

    def guess(self, history: History, places: Places, strategy: Strategy, most: int) -> Sequence[int]:
        """Return up to `most` tokens that may follow the one row of `history`; none is fine."""
        ...


class Ngrams:
    """Guess that what followed the last few tokens before follows them again ("prompt lookup").

    The longest run at the end, from `longest` tokens down to one, that stands earlier too is found where it stood last.

    >>> said = History.of([[5, 1, 2, 3, 4, 1, 2]])
    >>> Ngrams().guess(said, Places.of(0, [0], 0), None, most=2)
    [3, 4]
    """

    def __init__(self, longest: int = 3, count: int = 10) -> None:
        self.longest = longest
        self.count = count
        """How many tokens are guessed at once."""

    def begin(self, model: Transformer, tokenizer: Tokenizer) -> None:
        """Guess for every model."""

    def guess(self, history: History, places: Places, strategy: Strategy | None, most: int) -> list[int]:
        """Look the last tokens up in the text before them."""
        tokens = history.tokens[0]
        for size in range(min(self.longest, len(tokens) - 1), 0, -1):
            runs = tokens[:-1].unfold(0, size, 1)
            found = (runs == tokens[-size:]).all(-1).nonzero()
            if len(found):
                after = int(found[-1]) + size
                return [int(token) for token in tokens[after : after + min(most, self.count)]]
        return []


class SmallModel:
    """Let a smaller model with the same tokenizer guess; it draws by the same strategy and the same random numbers."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, count: int = 4) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self.count = count
        """How many tokens are guessed at once."""
        self._reader: Reader | None = None

    def begin(self, model: Transformer, tokenizer: Tokenizer) -> None:
        """Refuse a model with another tokenizer."""
        if tokenizer.fingerprint != self._tokenizer.fingerprint:
            raise ConfigError(
                "the draft model has another tokenizer than the model", hint="train the draft with the same tokenizer"
            )

    def guess(self, history: History, places: Places, strategy: Strategy, most: int) -> list[int]:
        """Write ahead of the model."""
        said = [self._tokenizer.begin, *history.tokens[0].tolist()]
        if self._reader is None:
            self._reader = Reader(self._model, said, self._tokenizer.vocab_size)
        self._reader.become(said)
        guesses: list[int] = []
        for step in range(min(most, self.count)):
            longer = with_guesses(history, guesses)
            last = History(longer.tokens[-1:], longer.written[-1:])
            place = Places(places.seed, places.row, places.position + step)
            chosen = strategy.choose(self._reader.logits(), last, place)
            if int(chosen) == NO_TOKEN:
                break
            guesses.append(int(chosen))
            self._reader.append(chosen, [0])
        return guesses


def write_ahead(
    reader: Reader, writer: Writer, strategy: Strategy, draft: Draft, seed: int, telling: Telling
) -> Iterator[Piece]:
    """Write one text with guesses; the tokens are those that are written without them."""
    while True:
        history = reader.history
        place = Places.of(seed, [writer.row], writer.count, reader.device)
        guesses = list(draft.guess(history, place, strategy, most)) if (most := reader.room) > 0 else []
        ahead = torch.arange(len(guesses) + 1, device=reader.device)
        places = Places(place.seed.expand_as(ahead), place.row.expand_as(ahead), place.position + ahead)
        chosen = choose(strategy, reader.logits_beyond(guesses), with_guesses(history, guesses), places, telling)
        for number in range(len(guesses) + 1):
            piece = writer.write(*chosen.at(number))
            yield piece
            if piece.finish_reason:
                return
            reader.append(torch.tensor([piece.token]), [0])
            if number == len(guesses) or piece.token != guesses[number]:
                break


def with_guesses(history: History, guesses: Sequence[int]) -> History:
    """Return a row for each number of guesses behind the one row of `history`: none, the first, the first two, ...

    >>> with_guesses(History.of([[7, 8]], written=[1]), [3, 4]).tokens.tolist()
    [[-1, -1, 7, 8], [-1, 7, 8, 3], [7, 8, 3, 4]]
    """
    count, device = len(guesses), history.tokens.device
    filling = torch.full((count,), NO_TOKEN, dtype=torch.int64, device=device)
    longest = torch.cat([filling, history.tokens[0], torch.tensor(guesses, dtype=torch.int64, device=device)])
    rows = longest.unfold(0, count + history.tokens.shape[1], 1)
    return History(rows, history.written + torch.arange(count + 1, device=device))
