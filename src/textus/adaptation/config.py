"""What fine-tuning a model with labels, tags or pairs can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from textus.config import AUTO, Count, Fraction, NonNegative, Positive, Range, Settings

Share = Annotated[float, Range(0, 0.5, open_low=True)]
Dropout = Annotated[float, Range(0, 1, open_high=True)]


@dataclass(frozen=True)
class SplitConfig(Settings):
    """Which examples are learnt from, which ones choose, and which ones measure."""

    test: tuple[str, ...] = ()
    """Files or folders to measure on; empty: a share of the data, `test_fraction`."""
    test_fraction: Share = 0.2
    """Share of the examples that is kept to measure on, where no `test` is given."""
    choice_fraction: Share = 0.1
    """Share of the other examples on which learning rate and epoch are chosen; the test examples never are."""
    split_seed: Annotated[int, Range(0, 2**32 - 1)] = 1
    """Seed of these shares; equal examples never stand on two sides."""
    too_long: Literal["refuse", "cut"] = "refuse"
    """What to do about an example that is longer than the model's context."""


@dataclass(frozen=True)
class ClassifyData(SplitConfig):
    """Where texts and labels stand in JSON lines, JSON, CSV and TSV."""

    text: str = "auto"
    """The column with the text; auto: `text`, or the first of `sentence1`, `premise`, `question1`."""
    pair: str = "auto"
    """The column with the second text, where texts come in pairs; auto: the one that belongs to the first."""
    label: str = "label"
    """The column with the label: a word, a number, or a list of them where a text may have several."""


@dataclass(frozen=True)
class TagData(SplitConfig):
    """Where words and tags stand: JSON lines with two lists, CoNLL-U, or a word a line and its tag behind it."""

    tokens: str = "tokens"
    """JSON lines: the list of words."""
    tags: str = "auto"
    """JSON lines: the list of tags; auto: the first of `tags upos ner xpos`. CoNLL-U: `upos` (auto) or `xpos`."""


@dataclass(frozen=True)
class PairData(SplitConfig):
    """Where queries and what answers them stand: JSON lines, or a folder with `corpus`, `queries` and `qrels`."""

    query: str = "query"
    """JSON lines: the query."""
    positive: str = "positive"
    """JSON lines: a text that answers it, or a list of them."""
    negatives: str = "negatives"
    """JSON lines: texts that look like answers and are none; may be missing."""


@dataclass(frozen=True)
class Tuning(Settings):
    """How to learn. The loop is that of `textus train`."""

    seeds: Count = 5
    """Trials with the chosen learning rate, each with its own first values of the head, order and dropout."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 1
    """The first of them."""
    epochs: Count = 5
    """How often every example is shown, at most; the epoch that is kept is chosen."""
    batch_size: Count = 32
    """Examples an optimizer step learns from."""
    micro_batch_tokens: Count = 16_384
    """Tokens in memory at once, at the model's full context."""
    learning_rates: tuple[Positive, ...] | AUTO = "auto"
    """Peak learning rates to choose from; auto: 2e-5, 5e-5 and 1e-4 for a model 768 wide, more for a narrower one,
    and up to three further ones while the best is the highest or the lowest."""
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay, times the learning rate, on matrices."""
    warmup: Fraction = 0.06
    """First part of the steps, over which the learning rate rises; then it falls evenly to 0."""
    dropout: Dropout = 0.1
    """Dropout on embeddings and residual branches."""
    gradient_clip: Positive | Literal["off"] = 1.0
    """Largest global norm of the gradient."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the matrix products; weights stay float32."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    threads: Annotated[int, Range(1, 1024)] | AUTO = "auto"
    """CPU threads."""
    on_divergence: Literal["skip", "rollback", "stop"] = "skip"
    """What to do about a non-finite loss or a spike."""
    spike_sigmas: Positive = 20.0
    """A loss this many standard deviations above its running window is a spike; small batches vary much."""


@dataclass(frozen=True)
class Beside(Settings):
    """What stands beside the adapted model in the report."""

    counting: bool = True
    """Majority, and TF-IDF with logistic regression (needs `pip install 'textus[heads]'`); for search, BM25."""
    random_init: bool = True
    """The same network from random weights, with learning rates and seeds of its own."""
    random_seeds: Count = 1
    """Trials of it."""


@dataclass(frozen=True)
class ClassifySettings(Settings):
    """Adapting a model to give texts labels."""

    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    """Which state tells of the text: the mean of all, the first or the last; auto: what transformers knows for the
    model, the mean for an encoder and the last for every other."""
    data: ClassifyData = field(default_factory=ClassifyData)
    """Examples."""
    training: Tuning = field(default_factory=Tuning)
    """How it is learnt."""
    beside: Beside = field(default_factory=Beside)
    """What it is measured against."""


@dataclass(frozen=True)
class TagSettings(Settings):
    """Adapting a model to give words tags."""

    data: TagData = field(default_factory=TagData)
    """Examples."""
    training: Tuning = field(default_factory=Tuning)
    """How it is learnt."""
    beside: Beside = field(default_factory=Beside)
    """What it is measured against."""


@dataclass(frozen=True)
class EmbedSettings(Settings):
    """Adapting a model to give texts vectors by which they find each other."""

    pooling: Literal["mean", "cls", "last"] = "mean"
    """Which state tells of the text: the mean of all, the first or the last."""
    temperature: Positive = 0.05
    """By what similarities are divided before the softmax over the texts of a batch (InfoNCE)."""
    hard_negatives: Annotated[int, Range(0)] = 1
    """Texts that answer no query, where there are any, beside each text that answers one."""
    dimensions: tuple[Count, ...] = ()
    """Shorter vectors that shall serve too (Matryoshka): as many first numbers each; empty: only whole ones."""
    data: PairData = field(default_factory=PairData)
    """Examples."""
    training: Tuning = field(default_factory=lambda: Tuning(batch_size=128, epochs=3, seeds=1))
    """How it is learnt; here a batch also says how many texts each query is told from."""
    beside: Beside = field(default_factory=lambda: Beside(random_init=False))
    """What it is measured against."""
