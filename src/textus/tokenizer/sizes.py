"""Choose a vocabulary size by measurement: one training at the largest, of which every smaller one is a beginning.

Nothing short of training a model on each size tells what it costs. What is measured instead, on text held out:

- bytes per token: how much text a context holds, and how many steps a text takes;
- bits per byte of a bigram model over the tokens, with absolute discounting (Ney et al. 1994): it pays for tokens that
  were seen too seldom to be predicted, as a network does. It sees two tokens and no more, so that large vocabularies,
  whose two tokens are longer, look better to it than to a network with a long context;
- rare: the share of the held-out tokens whose own token was seen less than `RARE` times in training;
- the parameters of the embedding, one row of `hidden_size` a token.

The choice is the smallest vocabulary within `CLOSE` of the fewest bits per byte, among those with at most `MOST_RARE`
rare tokens; the bias towards large ones is why "within" and "smallest" are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textus.errors import TokenizerError
from textus.progress import SILENT, Progress
from textus.report import Table, number
from textus.tokenizer.config import SMALLEST_VOCABULARY
from textus.tokenizer.tokenizer import Tokenizer

CANDIDATES = (512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536)
RARE = 50
MOST_RARE = 0.02
CLOSE = 0.01
HIDDEN_SIZE = 256
"""The width for which embeddings are counted in the table; they grow in proportion."""
TRAIN_BYTES, HELD_OUT_BYTES = 16_000_000, 1_000_000
"""The most that the bigram models are trained and measured on."""
_DISCOUNT = 0.75


@dataclass(frozen=True)
class Size:
    """What one size of vocabulary came to."""

    vocab_size: int
    bytes_per_token: float
    """On held-out text."""
    bits_per_byte: float
    """Of a bigram model over its tokens, on held-out text: a proxy, not what a network reaches."""
    rare: float
    """Share of the held-out tokens that were seen less than `RARE` times in training."""
    embedding_parameters: int
    """At `HIDDEN_SIZE`, input and output tied."""


@dataclass(frozen=True)
class Measured:
    """All sizes that were measured, and the one that was chosen."""

    sizes: tuple[Size, ...]
    chosen: int

    def table(self) -> Table:
        """Return the sizes for people, the chosen one marked."""
        header = ("vocabulary", "bytes per token", "bigram bits per byte", "rare tokens", "embedding", "")
        rows = tuple(
            (size.vocab_size, size.bytes_per_token, size.bits_per_byte, f"{size.rare:.2%}",
             f"{number(size.embedding_parameters / 1e6)} M", "<- chosen" if size.vocab_size == self.chosen else "")
            for size in self.sizes
        )  # fmt: skip
        return Table(header, rows)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


def measure(
    supported: int,
    make: Callable[[int], Tokenizer],
    train: Sequence[str],
    held_out: Sequence[str],
    scale: float = 1.0,
    progress: Progress = SILENT,
) -> Measured:
    """Measure every candidate up to `supported`, which itself is one where it is below the largest.

    `make` gives the tokenizer of a size. `train` may be a part of the training text: `scale` is how many times larger
    the whole is, and the counts of the tokens are taken that many times.
    """
    wanted = [size for size in CANDIDATES if size <= supported] or [max(supported, SMALLEST_VOCABULARY)]
    sizes = []
    with progress.task("vocabulary sizes", len(wanted), "sizes") as task:
        for size in wanted:
            sizes.append(_measure(make(size), train, held_out, scale))
            task.advance()
    return Measured(tuple(sizes), choose(sizes))


def choose(sizes: Sequence[Size]) -> int:
    """Choose among measured sizes.

    >>> rows = [(512, 3.0, 0.0), (1024, 2.51, 0.0), (2048, 2.5, 0.01), (4096, 2.4, 0.03)]
    >>> choose([Size(size, 3.0, bits, rare, size * 256) for size, bits, rare in rows])
    1024
    """
    allowed = [size for size in sizes if size.rare <= MOST_RARE] or list(sizes[:1])
    best = min(size.bits_per_byte for size in allowed)
    return min(size.vocab_size for size in allowed if size.bits_per_byte <= best * (1 + CLOSE))


def _measure(tokenizer: Tokenizer, train: Sequence[str], held_out: Sequence[str], scale: float) -> Size:
    seen, asked = _stream(tokenizer, train), _stream(tokenizer, held_out)
    num_bytes = sum(len(text.encode("utf-8", "replace")) for text in held_out)
    num_tokens = len(asked) - len(held_out) - 1  # the END between documents is no text
    if num_tokens <= 0 or len(seen) < 2:
        raise TokenizerError("no text to measure vocabulary sizes on", hint="set tokenizer.vocab_size to a number")
    counts = np.bincount(seen, minlength=tokenizer.vocab_size)
    rare = counts[asked] * scale < RARE
    return Size(
        vocab_size=tokenizer.vocab_size,
        bytes_per_token=num_bytes / num_tokens,
        bits_per_byte=bigram_bits(seen, asked, tokenizer.vocab_size) / num_bytes,
        rare=float(rare[asked != tokenizer.end].sum() / num_tokens),
        embedding_parameters=tokenizer.vocab_size * HIDDEN_SIZE,
    )


def _stream(tokenizer: Tokenizer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the tokens of all texts, END before, between and behind them."""
    end = np.array([tokenizer.end])
    return np.concatenate([end, *(part for tokens in tokenizer.encode_batch(texts) for part in (tokens, end))])


def bigram_bits(seen: npt.NDArray[np.int64], asked: npt.NDArray[np.int64], vocab_size: int) -> float:
    """Return the bits that a bigram model of the tokens `seen` needs for `asked`, the first token given.

    Every count is lowered by 0.75, and what that sets free goes to the single tokens, in proportion to how often they
    were seen plus one half.
    """
    singles = np.bincount(seen, minlength=vocab_size)
    single = (singles + 0.5) / (len(seen) + 0.5 * vocab_size)
    pairs, counts = np.unique(seen[:-1] * vocab_size + seen[1:], return_counts=True)
    before = np.bincount(seen[:-1], minlength=vocab_size)
    kinds = np.bincount(pairs // vocab_size, minlength=vocab_size)
    left, right = asked[:-1], asked[1:]
    wanted = left * vocab_size + right
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    count = np.where(pairs[place] == wanted, counts[place], 0)
    known = before[left] > 0
    total = np.maximum(before[left], 1)
    share = np.where(known, _DISCOUNT * kinds[left] / total, 1.0)
    probability = np.where(known, np.maximum(count - _DISCOUNT, 0) / total, 0.0) + share * single[right]
    return float(-np.log2(probability).sum())


def within(texts: Iterable[str], most_bytes: int) -> list[str]:
    """Return the first texts that `most_bytes` hold, one at least."""
    found: list[str] = []
    left = most_bytes
    for text in texts:
        size = len(text.encode("utf-8", "replace"))
        if found and size > left:
            break
        found.append(text)
        left -= size
    return found
