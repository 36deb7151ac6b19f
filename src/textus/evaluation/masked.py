"""How well a model that reads both ways predicts hidden tokens, and the bound on its likelihood.

Neither is a perplexity. The loss and accuracy on hidden tokens depend on how many are hidden, so it is always 15 %; the
bound is over all rates of hiding, and can be set beside a causal model's bits per byte: what it bounds is not more.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from textus.dataset.window import PADDING, Origin, Window
from textus.errors import CorpusError
from textus.evaluation.estimate import MINIMUM_DOCUMENTS, Evaluation, Measured, Units, ratio
from textus.model.hidden import both_ways, logarithms
from textus.model.transformer import Transformer
from textus.objectives.chance import draws
from textus.objectives.config import VALIDATION_RATE
from textus.objectives.masked import Masked
from textus.objectives.masking import askable
from textus.objectives.measure import evaluating
from textus.objectives.objective import IGNORE
from textus.objectives.vocabulary import Vocabulary
from textus.progress import SILENT, Progress
from textus.report import Score
from textus.tokenizer.tokenizer import Tokenizer

_SHORTEST = 16
SAMPLES = 8
"""Rates of hiding that the bound is estimated from, for each window."""


def evaluate_masked(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Measured],
    *,
    data: str,
    batch_rows: int = 32,
    progress: Progress = SILENT,
) -> Evaluation:
    """Hide 15 % of the tokens of each document (END, text, END) and measure what the model puts in their places.

    Documents are cut into windows of the model's context. Single tokens are hidden, all by `<mask>`, the same ones at
    every call; special tokens never. Errors are over documents, or over windows where documents are few.
    """
    began, sums = time.monotonic(), Sums(tokenizer)
    with progress.task("masked evaluation", 0, "tokens") as task:
        for windows, likely, labels in guesses(model, tokenizer, documents, sums, batch_rows=batch_rows):
            nats = -likely.gather(1, labels.unsqueeze(1)).squeeze(1).double()
            right = likely.argmax(1) == labels
            sums.add(windows, nats.cpu().numpy(), right.cpu().numpy(), labels.cpu().numpy())
            task.advance(len(labels))
    return sums.evaluation(tokenizer.fingerprint, data, time.monotonic() - began)


def guesses(
    model: Transformer, tokenizer: Tokenizer, documents: Iterable[Measured], sums: Sums, *, batch_rows: int = 32
) -> Iterator[tuple[Int[ndarray, " hidden"], Float[Tensor, "hidden vocab"], Int[Tensor, " hidden"]]]:
    """Yield, for the tokens that `evaluate_masked` hides: their windows, ln p of all tokens, and what they are."""
    reading = both_ways(model, "predicting hidden tokens")
    vocabulary, generator = Vocabulary.of(tokenizer), torch.Generator()
    asked = Masked(vocabulary, prediction_offset=model.config.prediction_offset).validation()
    device = model.embedding.weight.device
    with evaluating(model), torch.inference_mode():
        for window, owners in _windows(documents, sums, vocabulary, model, batch_rows):
            batch = asked.batch(window, generator).to(device)
            states = model.encode(batch.tokens, batch.documents, attention=reading)
            rows, positions = (batch.labels != IGNORE).nonzero(as_tuple=True)
            yield owners[rows.cpu().numpy()], logarithms(model, states[rows, positions]), batch.labels[rows, positions]


@dataclass(frozen=True)
class Bound:
    """An upper bound on the bits per byte of a text."""

    score: Score
    note: str
    """How far its own samples leave it open."""
    units: Units
    """Sums that it is made of; tokens are not counted."""


def measure_bound(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Measured],
    *,
    data: str,
    samples: int = SAMPLES,
    seed: int = 0,
    batch_rows: int = 32,
    progress: Progress = SILENT,
) -> Bound:
    """Estimate an upper bound on the bits per byte of documents: that of masked diffusion, by Monte Carlo.

    Of a window with `n` tokens that may be hidden, `k ~ U{1..n}` are, and their nats count `n / k` times: the same
    expectation as drawing a rate (LLaDA, arXiv 2502.09992, eq. 14), with less variance. The `samples` of a window
    spread their `k` evenly. Where documents begin and end is given. The error is over documents, or windows where these
    are few, and holds both their spread and that of the samples; the words that are returned tell the latter.
    """
    reading = both_ways(model, "predicting hidden tokens")
    vocabulary, sums = Vocabulary.of(tokenizer), Sums(tokenizer)
    offset, device = model.config.prediction_offset, model.embedding.weight.device
    drawn = 0.0
    with evaluating(model), torch.inference_mode(), progress.task("bound", 0, "tokens") as task:
        for window, owners in _windows(documents, sums, vocabulary, model, batch_rows):
            assert window.origin is not None
            may, places = askable(window, vocabulary), window.origin.places.numpy()
            sizes, estimates = may.sum(1), np.zeros((samples, len(owners)))
            for sample in range(samples):
                counts = _counts(sizes, window.origin.numbers.numpy(), sample, samples, seed)
                keys = np.where(may, draws(seed, 2 + sample % 60, np.full((1, 1), sample), places), np.inf)
                hidden = (keys.argsort(1, kind="stable").argsort(1, kind="stable") < counts[:, None]) & may
                tokens = window.tokens.masked_fill(torch.from_numpy(hidden), vocabulary.mask).to(device)
                states = model.encode(
                    tokens[:, : tokens.shape[1] - offset],
                    window.documents[:, : tokens.shape[1] - offset].to(device),
                    attention=reading,
                )
                rows, positions = torch.from_numpy(hidden).nonzero(as_tuple=True)
                likely = logarithms(model, states[rows.to(device), (positions - offset).to(device)]).cpu()
                nats = -likely.gather(1, window.tokens[rows, positions].unsqueeze(1)).squeeze(1).double().numpy()
                summed = np.bincount(rows.numpy(), weights=nats, minlength=len(owners))
                estimates[sample] = summed * sizes / np.maximum(counts, 1)
                task.advance(int(sizes.sum()))
            sums.add_windows(owners, estimates.mean(0))
            if samples > 1:
                drawn += float((estimates.var(0, ddof=1) / samples).sum())
    value, error, num_bytes = sums.per_byte()
    share = math.sqrt(drawn) / math.log(2) / num_bytes
    note = f"the bound is estimated from {samples} samples of each window, whose own standard error is {share:.2g}"
    score = Score("bits_per_byte_bound", value, error, "bits/byte at most", tokenizer.fingerprint, data)
    return Bound(score, note, sums.bound_units())


def _counts(
    sizes: Int[ndarray, " rows"], numbers: Int[ndarray, " rows"], sample: int, samples: int, seed: int
) -> Int[ndarray, " rows"]:
    """Draw how many tokens a sample hides in each row: from 1 to all, spread evenly over the samples."""
    start = draws(seed, 0, np.zeros(1, np.int64), numbers)
    spread = (start + sample / samples) % 1.0
    counts: np.ndarray = np.where(sizes > 0, 1 + np.minimum((spread * sizes).astype(np.int64), sizes - 1), 0)
    return counts


@dataclass(frozen=True, eq=False)
class _Row:
    """A window of one document."""

    tokens: Int[ndarray, " time"]
    place: int
    number: int
    document: int
    begins: bool


class Sums:
    """Sums by window, and which document each is of."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._sizes = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)])
        self._nats: dict[int, float] = defaultdict(float)
        self._right: dict[int, int] = defaultdict(int)
        self._tokens: dict[int, int] = defaultdict(int)
        self._hidden: dict[int, int] = defaultdict(int)
        self.owner: list[int] = []
        """The document of each window."""
        self.text: list[int] = []
        """The size of each window's text, in bytes of UTF-8; a document's windows make up its size."""
        self.documents = 0

    def cut(self, documents: Iterable[Measured], special: ndarray, context: int, offset: int) -> Iterator[_Row]:
        """Cut documents into windows, each behind `offset` tokens of the one before it."""
        place = 0
        for tokens, num_bytes in documents:
            left = num_bytes
            begins = list(range(0, max(1, len(tokens) - offset), context))
            for start in begins:
                part = np.asarray(tokens[start : start + context + offset], np.int64)
                fresh = part[offset:] if start else part
                size = int(self._sizes[fresh[~special[fresh]]].sum())
                size = left if start == begins[-1] else min(size, left)
                left -= size
                self.owner.append(self.documents)
                self.text.append(size)
                yield _Row(part, place + start, len(self.owner) - 1, self.documents, start == 0)
            place += len(tokens)
            self.documents += 1

    def add(self, windows: ndarray, nats: ndarray, right: ndarray, labels: ndarray) -> None:
        """Add hidden tokens to their windows."""
        for window in np.unique(windows).tolist():
            here = windows == window
            self._nats[window] += float(nats[here].sum())
            self._right[window] += int(right[here].sum())
            self._tokens[window] += int(here.sum())
            self._hidden[window] += int(self._sizes[labels[here]].sum())

    def add_windows(self, windows: ndarray, nats: ndarray) -> None:
        """Add whole windows."""
        for window, value in zip(windows.tolist(), nats.tolist(), strict=True):
            self._nats[window] += value

    def _column(self, values: dict[int, float] | dict[int, int]) -> Float[ndarray, " units"]:
        """Return sums by document, or by window where there are few documents."""
        by_window = np.array([values.get(window, 0) for window in range(len(self.owner))], np.float64)
        if self.documents < MINIMUM_DOCUMENTS:
            return by_window
        summed: np.ndarray = np.bincount(np.array(self.owner, np.int64), weights=by_window, minlength=self.documents)
        return summed

    def per_byte(self) -> tuple[float, float, int]:
        """Return bits per byte of the text, their error, and the bytes."""
        if not sum(self.text):
            raise CorpusError("there is no text to measure", hint="give documents that are not empty")
        sizes = self._column(dict(enumerate(self.text)))
        nats = self._column(self._nats)
        return *_ratio(nats / math.log(2), sizes), int(sizes.sum())

    def bound_units(self) -> Units:
        """Return the sums of nats and of the bytes of the text."""
        nats, sizes = self._column(self._nats), self._column(dict(enumerate(self.text))).astype(np.int64)
        by_document = self.documents >= MINIMUM_DOCUMENTS
        return Units("document" if by_document else "block", nats, np.zeros_like(sizes), sizes)

    def evaluation(self, tokenizer: str, data: str, seconds: float) -> Evaluation:
        """Close the books."""
        nats, tokens, hidden = self._column(self._nats), self._column(self._tokens), self._column(self._hidden)
        if not tokens.sum():
            raise CorpusError("there is no token to hide", hint="give documents that are not empty")
        percent = f"at {VALIDATION_RATE:.0%}"
        found = (
            ("masked_loss", *_ratio(nats, tokens), f"nats/hidden token {percent}"),
            ("masked_accuracy", *_ratio(self._column(self._right), tokens), f"of hidden tokens {percent}"),
            ("masked_bits_per_byte", *_ratio(nats / math.log(2), hidden), f"bits/hidden byte {percent}"),
        )
        by_document = self.documents >= MINIMUM_DOCUMENTS
        units = Units("document" if by_document else "block", nats, tokens.astype(np.int64), hidden.astype(np.int64))
        words = f"{self.documents} documents" if by_document else f"{len(self.owner)} windows of few documents"
        return Evaluation(
            tuple(Score(*parts, tokenizer, data) for parts in found),
            int(tokens.sum()),
            sum(self.text),
            self.documents,
            seconds,
            f"15 % of the tokens were hidden, the same at every measurement; errors are over {words}",
            units,
        )


def _ratio(numerators: Float[ndarray, " units"], denominators: Float[ndarray, " units"]) -> tuple[float, float]:
    """Return a ratio of sums with its error; a single unit has none that could be told, and its error is infinite."""
    if len(numerators) > 1:
        return ratio(numerators, denominators)
    return float(numerators.sum() / denominators.sum()), math.inf


def _windows(
    documents: Iterable[Measured], sums: Sums, vocabulary: Vocabulary, model: Transformer, batch_rows: int
) -> Iterator[tuple[Window, Int[ndarray, " rows"]]]:
    """Yield windows of like length, and the number of each row in `sums`."""
    context, offset = model.config.context_length, model.config.prediction_offset
    lengths = [context]
    while lengths[-1] > _SHORTEST:
        lengths.append(-(-lengths[-1] // 2))
    waiting: dict[int, list[_Row]] = {length: [] for length in lengths}
    for row in sums.cut(documents, vocabulary.is_special, context, offset):
        if vocabulary.is_special[row.tokens[max(offset, int(row.begins)) :]].all():
            continue
        length = min(length for length in lengths if length + offset >= len(row.tokens))
        waiting[length].append(row)
        if len(waiting[length]) == batch_rows * (context // length):
            yield _window(waiting[length], length + offset, offset)
            waiting[length] = []
    for length, rows in waiting.items():
        if rows:
            yield _window(rows, length + offset, offset)


def _window(rows: list[_Row], time: int, offset: int) -> tuple[Window, Int[ndarray, " rows"]]:
    tokens = np.zeros((len(rows), time), np.int64)
    documents, places = np.full(tokens.shape, PADDING), np.full(tokens.shape, PADDING)
    predict = np.zeros(tokens.shape, np.bool_)
    for number, row in enumerate(rows):
        size = len(row.tokens)
        tokens[number, :size], documents[number, :size] = row.tokens, 0
        places[number, :size] = row.place + np.arange(size)
        # a document's first token has none before it, and what a window shares with the one before was asked there
        predict[number, max(offset, int(row.begins)) : size] = True
    numbers = np.array([row.number for row in rows], np.int64)
    once = torch.ones(len(rows), dtype=torch.long)
    origin = Origin(torch.from_numpy(numbers), 0 * once, once, torch.from_numpy(places))
    window = Window(torch.from_numpy(tokens), torch.from_numpy(documents), torch.from_numpy(predict), origin)
    return window, numbers
