"""Give texts labels: learn from examples, choose, measure beside majority, TF-IDF and random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from textus import fingerprint
from textus.adaptation import baselines
from textus.adaptation.config import ClassifySettings
from textus.adaptation.encode import fitting, text_tokens
from textus.adaptation.heads import Measures, concluded, finished, left_out_words, pooling_of, reading_of
from textus.adaptation.job import Adapted, Job
from textus.adaptation.labels import LabelSet, label_set, majority, read_labelled
from textus.adaptation.measures import of_labels, of_sets
from textus.adaptation.outcome import Row
from textus.adaptation.parts import Parts, divided
from textus.adaptation.predict import text_logits
from textus.adaptation.trials import Lesson, Start, look
from textus.dataset.labelled import Data, Examples
from textus.dataset.labelled_texts import LabelledText
from textus.model.headed import Headed, TaskConfig
from textus.objectives.labelled import Classify
from textus.tokenizer.tokenizer import Tokenizer


def classify(job: Job) -> Adapted:
    """Adapt a model to give texts the labels that the user's examples have."""
    settings: ClassifySettings = job.settings
    parts = divided(read_labelled(job.data, settings.data), _test(settings), settings.data)
    labels = label_set([*parts.train, *parts.choice])
    start = Start.open(job.checkpoint)
    config = start.opened.config
    task = TaskConfig(
        "classify",
        labels.names,
        labels.several,
        parts.train[0].pair is not None,
        pooling_of(config, settings.pooling),
        reading_of(config),
    )
    data = _fingerprint(parts)
    if (done := finished(job, data, start)) is not None:
        return done
    made = _Made(parts, labels, start.opened.tokenizer, config.context_length, settings)
    named = Data(data, start.opened.tokenizer.fingerprint)
    train, choice, test = (made.rows(part) for part in (parts.train, parts.choice, parts.test))
    lesson = Lesson(
        job=job,
        start=start,
        task=task,
        objective=Classify(task.reading, several=labels.several),
        tuning=settings.training,
        training=lambda seed, batch: Examples(*train, named, seed=seed, batch=batch),
        choice=Examples(*choice, named, ordered=True),
        count=len(parts.train),
        machine=look(settings.training),
    )
    measure = made.measures(test[1])
    return concluded(
        lesson,
        data,
        lambda model: measure(answers(model, test[0])),
        settings.beside,
        made.others(measure) if settings.beside.counting else (),
        (*made.notes(), *left_out_words(parts.leaked)),
        {"examples": parts.sizes, "labels": list(labels.names), "several": labels.several},
    )


def answers(model: Headed, rows: Sequence[Sequence[int]]) -> Int[ndarray, "texts answers"]:
    """Return the likeliest label of each text, or for each of several labels whether it is likelier than not."""
    logits = text_logits(model, rows)
    found: np.ndarray = ((logits > 0) if model.task.several else logits.argmax(1, keepdim=True)).numpy()
    return found.astype(np.int64)


class _Made:
    """The examples of one adaptation as numbers."""

    def __init__(
        self,
        parts: Parts[LabelledText],
        labels: LabelSet,
        tokenizer: Tokenizer,
        context: int,
        settings: ClassifySettings,
    ) -> None:
        self._parts, self._labels, self._tokenizer = parts, labels, tokenizer
        self._context, self._settings = context, settings

    def rows(self, part: Sequence[LabelledText]) -> tuple[list[list[int]], list[list[int]]]:
        """Return tokens and label numbers."""
        too_long = self._settings.data.too_long
        tokens = [
            fitting(text_tokens(self._tokenizer, one.text, one.pair), self._context, one.place, too_long)
            for one in part
        ]
        return tokens, [self._labels.number(one) for one in part]

    def measures(self, true: Sequence[Sequence[int]]) -> Callable[[Int[ndarray, "texts answers"]], Measures]:
        """Return what answers to the test examples are worth."""
        wanted = np.asarray(true, np.int64)
        if self._labels.several:
            return lambda given: of_sets(wanted, given)
        return lambda given: of_labels(wanted[:, 0], given[:, 0], len(self._labels.names))

    def others(self, measure: Callable[[Int[ndarray, "texts answers"]], Measures]) -> list[Row]:
        """Return what is reached without a network."""
        parts, labels = self._parts, self._labels
        (commonest,) = [labels.number(LabelledText("", "", None, majority(parts.train)))]
        everywhere = np.tile(np.asarray(commonest, np.int64), (len(parts.test), 1))
        rows = [Row.of("the commonest answer", [measure(everywhere)], 0)]
        counted = self._counted()
        if counted is not None:
            rows.append(Row.of("TF-IDF and logistic regression", [measure(counted)], 0))
        return rows

    def notes(self) -> tuple[str, ...]:
        """Say what stands behind the figures."""
        names = self._labels.names
        found = []
        if self._labels.several:
            found.append("Exact match asks that all labels of a text are right.")
        elif len(names) == 2:
            found.append(f"F1 is of the label {names[1]!r}, macro F1 the mean over both.")
        if self._settings.beside.counting and baselines.is_absent():
            found.append(baselines.ABSENT)
        return tuple(found)

    def _counted(self) -> Int[ndarray, "texts answers"] | None:
        parts = self._parts
        train, choice, test = ([_joined(one) for one in part] for part in (parts.train, parts.choice, parts.test))
        known, asked = (
            np.asarray([self._labels.number(one) for one in part], np.int64) for part in (parts.train, parts.choice)
        )
        columns = [
            baselines.bag_of_words(train, known[:, column], choice, asked[:, column], test)
            for column in range(known.shape[1])
        ]
        answered = [column for column in columns if column is not None]
        return np.stack(answered, 1) if len(answered) == len(columns) else None


def _test(settings: ClassifySettings) -> list[LabelledText]:
    return read_labelled(settings.data.test, settings.data) if settings.data.test else []


def _joined(one: LabelledText) -> str:
    return one.text if one.pair is None else f"{one.text}\n{one.pair}"


def _fingerprint(parts: Parts[LabelledText]) -> str:
    return fingerprint.of_value(
        [[(one.text, one.pair, one.labels) for one in part] for part in (parts.train, parts.choice, parts.test)]
    )
