"""Measure a model on a task."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from textus.errors import ConfigError, InputError
from textus.evaluation.pseudo import Method
from textus.evaluation.tasks.answers import is_right, write_answers
from textus.evaluation.tasks.asks import Ask, cut, item_asks, prompts, windows
from textus.evaluation.tasks.hidden import pseudo_log_likelihoods
from textus.evaluation.tasks.item import Item
from textus.evaluation.tasks.likelihoods import Told, log_likelihoods
from textus.evaluation.tasks.overlap import Lookup, Overlap
from textus.evaluation.tasks.result import TaskResult
from textus.evaluation.tasks.tally import Tally, credit
from textus.evaluation.tasks.task import Task
from textus.model.precision import Precision
from textus.model.transformer import Transformer
from textus.progress import SILENT, Progress
from textus.progress import Task as Bar
from textus.tokenizer.tokenizer import Tokenizer

Scoring = Method | Literal["auto"]
TooLong = Literal["refuse", "skip", "cut"]
"""What becomes of an item that the context does not hold: nothing, it is refused; it is left out; its start is."""
_ITEMS, _CHARACTERS = 1_024, 8_000_000
"""So many items, of so many characters, are held at once."""


def methods(model: Transformer, task: Task, scoring: Scoring) -> tuple[str, ...]:
    """Return the ways in which a task is asked: all that the model reads by, unless one is named."""
    if task.kind == "generation":
        return ("generation",)
    if task.kind == "text":
        return ("causal",)
    if scoring != "auto":
        return (scoring,)
    found = {"causal": "causal", "bidirectional": "word-l2r"}
    return tuple(found[reading] for reading in model.config.readings)


def measure_task(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    method: str,
    *,
    lookup: Lookup | None = None,
    too_long: TooLong = "refuse",
    precision: Precision = "fp32",
    progress: Progress = SILENT,
) -> TaskResult:
    """Ask every item of a task, and say how often the model is right.

    Memory does not grow with the file, but for some 40 bytes an item. Raises `InputError` for an item that the context
    does not hold before the first is asked, unless `too_long` says otherwise.
    """
    asking = _Asking(model, tokenizer, task, method, too_long, precision)
    if too_long == "refuse":
        asking.look_ahead()
    tally = Tally(task.name, task.kind, method, tokenizer.fingerprint, task.data)
    began, short, chance = time.monotonic(), 0, 0.0
    with progress.task(f"{task.name} ({method})", float(task.count), "items") as bar:
        for held in _chunks(task):
            items = asking.fitting(held)
            seen = np.zeros(len(items), bool)
            if lookup and items:
                seen, is_short = lookup.look([item.plain for item in items])
                short += int(is_short.sum())
            for (item, values, ties), is_seen in zip(asking.ask(items, bar), seen.tolist(), strict=True):
                tally.add(values, group=item.group, seen=is_seen, ties=ties)
                chance += 1 / len(item.options) if len(item.options) > 1 else 0.0
            bar.advance(len(held) - len(items))
    if not tally.count:
        raise InputError(
            f"{task.name}: the context of {model.config.context_length} tokens holds none of its items",
            hint="ask with fewer examples, or measure a model of a longer context",
        )
    overlap = _overlap(tally, lookup, short) if lookup else None
    config = task.config
    return TaskResult(
        task.name, task.kind, task.format, config.version, config.shots, method, tally.count,
        asking.skipped, asking.cut, tally.ties, chance / tally.count, tally.scores(), tuple(tally.groups()),
        overlap, asking.tokens, asking.num_bytes, time.monotonic() - began,
    )  # fmt: skip


def _overlap(tally: Tally, lookup: Lookup, short: int) -> Overlap:
    seen = int(tally.seen.sum())
    return Overlap(
        words=lookup.long.size,
        shortest=lookup.short.size,
        threshold=lookup.threshold,
        items=seen,
        not_looked_for=short,
        clean_items=tally.count - seen,
        clean=tally.scores(clean=True),
        false_share=lookup.long.false_share,
    )


def _chunks(task: Task) -> Iterator[list[Item]]:
    """Yield items as they come, as many as may be held at once."""
    held: list[Item] = []
    size = 0
    for item in task.items():
        held.append(item)
        size += sum(len(one.context) + len(one.text) for one in item.options)
        if len(held) == _ITEMS or size > _CHARACTERS:
            yield held
            held, size = [], 0
    if held:
        yield held


class _Asking:
    """Ask items of one task in one way, and count what had to be left out."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        task: Task,
        method: str,
        too_long: TooLong,
        precision: Precision,
    ) -> None:
        self._model, self._tokenizer, self._task, self._method = model, tokenizer, task, method
        self._too_long, self._precision = too_long, precision
        context = model.config.context_length
        # the last token of a text that is read from left to right is asked, and not read
        self._most = context + 1 if method == "causal" else context
        self.skipped = self.cut = self.tokens = self.num_bytes = 0
        if tokenizer.vocab_size > model.config.vocab_size:
            raise ConfigError(
                f"the tokenizer has {tokenizer.vocab_size} tokens and the model knows {model.config.vocab_size}",
                hint="use the tokenizer of the model",
            )

    def look_ahead(self) -> None:
        """Refuse an item that the context does not hold, before any time is spent on the others."""
        if self._task.kind == "text":
            return
        shown = len(self._task.shown.encode())
        for held in _chunks(self._task):
            # a token has one byte at least
            suspects = [item for item in held if shown + _longest(item) >= self._most]
            if suspects:
                self.fitting(suspects)

    def fitting(self, items: list[Item]) -> list[Item]:
        """Return the items that can be asked."""
        if self._task.kind == "text" or self._too_long == "cut":
            return items
        kept = []
        for item, size in zip(items, self._sizes(items), strict=True):
            if size <= self._most:
                kept.append(item)
            elif self._too_long == "refuse":
                raise InputError(
                    f"{item.place}: {size:,} tokens with its {self._task.config.shots} examples; the model reads at "
                    f"most {self._model.config.context_length:,}",
                    hint="leave such items out (too long: skip), or their start (cut), or show fewer examples",
                )
            else:
                self.skipped += 1
        return kept

    def _sizes(self, items: list[Item]) -> list[int]:
        if self._task.kind == "generation":
            return [len(prompt) for prompt in self._prompts(items)]
        return [max(len(ask.tokens) for ask in group) for group in self._asks(items)]

    def _asks(self, items: list[Item]) -> list[list[Ask]]:
        return item_asks(self._tokenizer, items, self._task.shown)

    def _prompts(self, items: list[Item]) -> list[Any]:
        return prompts(self._tokenizer, [item.right.context for item in items], self._task.shown)

    def ask(self, items: list[Item], bar: Bar) -> Iterator[tuple[Item, dict[str, float], bool]]:
        """Yield each item with its metrics, and whether its right answer ties."""
        kind = self._task.kind
        if not items:
            return
        if kind == "generation":
            yield from self._generated(items, bar)
            return
        groups = self._windows(items) if kind == "text" else self._asks(items)
        if kind != "text":
            whole = groups
            groups = [[cut(ask, self._most) for ask in group] for group in groups]
            self.cut += sum(
                any(len(a.tokens) < len(b.tokens) for a, b in zip(*pair, strict=True))
                for pair in zip(groups, whole, strict=True)
            )
        told = self._told(groups, bar)
        for item, group in zip(items, told, strict=True):
            self.tokens += sum(one.tokens for one in group)
            self.num_bytes += sum(len(one.text.encode()) for one in item.options)
            yield item, *_judge(kind, item, group)

    def _windows(self, items: list[Item]) -> list[list[Ask]]:
        return [windows(self._tokenizer, item.right.text, self._model.config.context_length) for item in items]

    def _told(self, groups: list[list[Ask]], bar: Bar) -> list[list[Told]]:
        options: dict[str, Any] = {"precision": self._precision, "advance": bar.advance}
        if self._method == "causal":
            return log_likelihoods(self._model, groups, **options)
        return pseudo_log_likelihoods(self._model, self._tokenizer, groups, self._method, **options)  # type: ignore[arg-type]

    def _generated(self, items: list[Item], bar: Bar) -> Iterator[tuple[Item, dict[str, float], bool]]:
        config = self._task.config
        given = self._prompts(items)
        self.cut += sum(len(prompt) > self._most for prompt in given)
        written = write_answers(
            self._model,
            self._tokenizer,
            [prompt[-self._most :] for prompt in given],
            max_tokens=config.max_tokens,
            stop=config.until,
            precision=self._precision,
            advance=bar.advance,
        )
        for item, text in zip(items, written, strict=True):
            self.num_bytes += len(text.encode())
            yield item, {"exact_match": float(is_right(text, item.answers, config))}, False


def _judge(kind: str, item: Item, told: Sequence[Told]) -> tuple[dict[str, float], bool]:
    """Return the metrics of an item, and whether its right answer ties."""
    logprobs = [one.logprob for one in told]
    if kind == "text":
        (option,) = item.options
        words = len(re.split(r"\s+", option.text))
        return {"nats": -sum(logprobs), "words": words, "bytes": len(option.text.encode())}, False
    if kind == "cloze":
        (one,) = told
        return {"accuracy": float(one.is_greedy), "nats": -one.logprob}, False
    right, ties = credit(logprobs, item.gold)
    by_byte = [value / len(option.text.encode()) for value, option in zip(logprobs, item.options, strict=True)]
    by_token = [one.logprob / one.tokens for one in told]
    metrics = {
        "accuracy": right,
        "accuracy_per_byte": credit(by_byte, item.gold)[0],
        "accuracy_per_token": credit(by_token, item.gold)[0],
    }
    return metrics, ties


def _longest(item: Item) -> int:
    """Return how many bytes the longest option has with its context."""
    return max(len((one.context + one.continuation).encode()) for one in item.options)
