"""Give words tags: learn from examples, choose, measure words and entities beside the commonest tag of each word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from textus import fingerprint
from textus.adaptation.baselines import commonest_tags
from textus.adaptation.config import TagData, TagSettings
from textus.adaptation.encode import fitting, word_tokens
from textus.adaptation.entities import of_tags
from textus.adaptation.heads import concluded, finished, left_out_words, reading_of
from textus.adaptation.job import Adapted, Job
from textus.adaptation.outcome import Row
from textus.adaptation.parts import Parts, divided
from textus.adaptation.predict import word_logits
from textus.adaptation.trials import Lesson, Start, look
from textus.dataset.labelled import Data, Examples
from textus.dataset.labelled_texts import Columns, TaggedText, words_with_tags
from textus.dataset.records import some
from textus.dataset.window import PADDING
from textus.errors import CorpusError, InputError
from textus.model.headed import Headed, TaskConfig
from textus.objectives.labelled import Tag
from textus.tokenizer.tokenizer import Tokenizer

Rows = tuple[list[list[int]], list[list[int]]]
"""Tokens of each text, and at which of them its words are asked for."""


def tag(job: Job) -> Adapted:
    """Adapt a model to give words the tags that the user's examples have."""
    settings: TagSettings = job.settings
    test = read_tagged(settings.data.test, settings.data) if settings.data.test else []
    parts = divided(read_tagged(job.data, settings.data), test, settings.data)
    names = tag_set([*parts.train, *parts.choice])
    start = Start.open(job.checkpoint)
    config, tokenizer = start.opened.config, start.opened.tokenizer
    task = TaskConfig("tag", names, reading=reading_of(config))
    data = _fingerprint(parts)
    if (done := finished(job, data, start)) is not None:
        return done
    named = Data(data, tokenizer.fingerprint)
    train, choice, asked = (
        encoded(tokenizer, part, config.context_length, task.reading, settings.data.too_long)
        for part in (parts.train, parts.choice, parts.test)
    )
    known, choosing = (_labels(rows, part, names) for rows, part in ((train, parts.train), (choice, parts.choice)))
    _labels(asked, parts.test, names)  # a tag that was never learnt is told before anything is
    lesson = Lesson(
        job=job,
        start=start,
        task=task,
        objective=Tag(task.reading),
        tuning=settings.training,
        training=lambda seed, batch: Examples(train[0], known, named, seed=seed, batch=batch),
        choice=Examples(choice[0], choosing, named, ordered=True),
        count=len(parts.train),
        machine=look(settings.training),
    )
    truth = [one.tags[: len(places)] for one, places in zip(parts.test, asked[1], strict=True)]
    others = []
    if settings.beside.counting:
        commonest = commonest_tags(parts.train, parts.test)
        shown = [tags[: len(true)] for tags, true in zip(commonest, truth, strict=True)]
        others = [Row.of("the commonest tag of each word", [of_tags(truth, shown)], 0)]
    return concluded(
        lesson,
        data,
        lambda model: of_tags(truth, answers(model, asked)),
        settings.beside,
        others,
        left_out_words(parts.leaked),
        {"examples": parts.sizes, "labels": list(names)},
    )


def answers(model: Headed, rows: Rows) -> list[list[str]]:
    """Return the likeliest tag of each word."""
    found = word_logits(model, *rows)
    return [[model.task.labels[number] for number in logits.argmax(1).tolist()] for logits in found]


def read_tagged(inputs: Sequence[Path | str], config: TagData) -> list[TaggedText]:
    """Read words with tags; raise `InputError` with file and line of what is wrong."""
    columns = Columns(tokens=config.tokens, tags=config.tags)
    return some([one for path in inputs for one in words_with_tags(Path(path), columns)], inputs)


def tag_set(examples: Sequence[TaggedText]) -> tuple[str, ...]:
    """Give numbers to the tags of training examples; raise `CorpusError` where there is nothing to tell apart."""
    names = sorted({tag for one in examples for tag in one.tags})
    if len(names) < 2:
        raise CorpusError(
            f"all words of {len(examples)} training examples have the tag {names[0]!r}",
            hint="give examples of two tags at least",
        )
    return tuple(names)


def encoded(
    tokenizer: Tokenizer,
    part: Sequence[TaggedText],
    context: int,
    reading: Literal["causal", "bidirectional"],
    too_long: Literal["refuse", "cut"],
) -> Rows:
    """Return tokens and where words are asked for; a text that is cut loses the words that do not fit."""
    tokens, places = [], []
    for one in part:
        found, asked = word_tokens(tokenizer, one.words, reading)
        tokens.append(fitting(found, context, one.place, too_long))
        places.append([place for place in asked if place < context])
        if not places[-1]:
            raise InputError(f"{one.place}: its first word alone is longer than the context", hint="shorten it")
    return tokens, places


def _labels(rows: Rows, part: Sequence[TaggedText], names: Sequence[str]) -> list[list[int]]:
    """Return for each token the number of the tag that is asked there, and -1 elsewhere."""
    numbers = {name: number for number, name in enumerate(names)}
    found = []
    for tokens, places, one in zip(*rows, part, strict=True):
        labels = np.full(len(tokens), PADDING)
        for place, name in zip(places, one.tags, strict=False):
            if name not in numbers:
                shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
                raise InputError(
                    f"{one.place}: tag {name!r} is not among those learnt: {shown}",
                    hint="give training examples of it, or leave such examples out",
                )
            labels[place] = numbers[name]
        found.append(labels.tolist())
    return found


def _fingerprint(parts: Parts[TaggedText]) -> str:
    return fingerprint.of_value(
        [[(one.words, one.tags) for one in part] for part in (parts.train, parts.choice, parts.test)]
    )
