"""Ask what a frozen model knows of labelled texts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textus import fingerprint
from textus.checkpoint.checkpoint import Checkpoint
from textus.dataset.labelled_texts import Columns, Labelled, LabelledText, TaggedText, texts_or_words
from textus.errors import ConfigError, InputError
from textus.evaluation import probe as probing
from textus.evaluation.agreement import NAMES, agreement
from textus.evaluation.features import Features, bytes_an_item, features, poolings, row
from textus.evaluation.features import Row as TokenRow
from textus.evaluation.probe import Chosen, Fitter, Labels, Row, Split
from textus.model.transformer import Transformer
from textus.progress import SILENT, Progress
from textus.report import Chart, Prose, Report, Score, Section, Shown, Table
from textus.verbs.load import load

MOST_TEXTS = 10_000
"""Texts of each file that are used at most; which ones, their content decides."""
MOST_BYTES = 2**30
"""Of the features of both files: fewer texts are used where they would take more."""
_TEST_SHARE = _APART_SHARE = 0.2
_SETTINGS = {"label": "--labels", "tags": "--labels", "text": "", "pair": "", "tokens": ""}
"""By what a column is named."""
_LEAST_ITEMS = 4


@dataclass(frozen=True)
class Probed(Shown):
    """What a probe came to."""

    rows: tuple[Row, ...]
    """The probe, the same network unlearnt, TF-IDF, the majority."""
    chosen: Chosen
    layers: tuple[Chosen, ...]
    """Each layer and pooling, on the part of training that was set apart."""
    scores: tuple[Score, ...]
    labels: tuple[str, ...]
    counts: dict[str, int]
    """Items to learn from, those of them that were set apart, and those of the test."""
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "scores": [score.as_dict() for score in self.scores],
            "rows": [
                {
                    "name": one.name,
                    **one.agreement.values,
                    **{f"{name}_error": value for name, value in one.agreement.errors.items()},
                    "how": one.how,
                }
                for one in self.rows
            ],
            "chosen": vars(self.chosen),
            "layers": [vars(one) for one in self.layers],
            "labels": list(self.labels),
            **self.counts,
            "note": self.note,
        }

    def report(self) -> Report:
        """Tell the same for people."""
        names = [part for name in NAMES for part in (name.replace("_", " "), "±")]
        rows = tuple(
            (
                one.name,
                *(f"{part[name]:.4f}" for name in NAMES for part in (one.agreement.values, one.agreement.errors)),
                one.how,
            )
            for one in self.rows
        )
        lines: dict[str, list[tuple[float, float]]] = {}
        for one in self.layers:
            lines.setdefault(one.pooling, []).append((float(one.layer), one.accuracy))
        by_layer = tuple((one.layer, one.pooling, one.strength, one.accuracy) for one in self.layers)
        sections: list[tuple[str, Section]] = [
            ("On the test texts", Table(("", *names, "how"), rows)),
            ("What these mean", Prose(self.note)),
            ("By layer, on the part set apart", Chart("Accuracy by layer", "layer", "accuracy", lines)),
            ("What was chosen from", Table(("layer", "pooling", "C", "accuracy"), by_layer)),
        ]
        return Report("Probe", tuple(sections))


def probe(
    model: str | Path | Checkpoint,
    train: str | Path,
    test: str | Path = "",
    *,
    column: str = "auto",
    most_texts: int = MOST_TEXTS,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Probed:
    """Fit a linear classifier to the frozen states of any model, and hold it against what needs no model.

    Files hold JSON lines of texts or pairs with a `label`, or of `tokens` with a tag each; `column` names where labels
    stand. Without `test`, a fifth of the texts of `train` is kept for that, chosen by content. `seed` draws the weights
    of the network that has learnt nothing.
    """
    probing.require()
    if most_texts < 2 * _LEAST_ITEMS:
        raise ConfigError(f"{most_texts} texts are too few to probe with", hint="give 100 or more")
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    examples = _some(_read(Path(train), column), most_texts)
    asked = _some(_read(Path(test), column), most_texts) if test else []
    if not test:
        examples, asked = _parted(examples, _TEST_SHARE)
    return _Probing(opened, examples, asked, (str(train), str(test or train)), seed, progress).run()


def _read(path: Path, column: str) -> Iterator[Labelled]:
    """Yield texts or words, each with its label; raise `InputError` where a text has not exactly one."""
    is_empty = True
    for one in texts_or_words(path, Columns(label=column, tags=column, settings=_SETTINGS)):
        if isinstance(one, LabelledText) and len(one.labels) != 1:
            raise InputError(f"{one.place}: {len(one.labels)} labels", hint="a probe asks for one label of each text")
        is_empty = False
        yield one
    if is_empty:
        raise InputError(f"{path}: no example in it", hint="write one object a line, with a text and its label")


def _some(examples: Iterable[Labelled], most: int) -> list[Labelled]:
    """Return those whose hashes are lowest: the same ones in whatever order they come."""
    heap: list[tuple[int, int, Labelled]] = []
    for number, one in enumerate(examples):
        item = (-int(fingerprint.of_parts([one.key])[:15], 16), number, one)
        if len(heap) < most:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)
    return [one for _, _, one in sorted(heap, key=lambda item: item[1])]


def _parted(examples: Sequence[Labelled], share: float, seed: str = "test") -> tuple[list[Labelled], list[Labelled]]:
    """Cut a share off, by the hashes of the texts, so that copies stay together."""
    apart = _apart(examples, share, seed)
    kept, cut = (
        [one for one, is_apart in zip(examples, apart, strict=True) if is_apart is side] for side in (False, True)
    )
    return kept, cut


def _apart(examples: Sequence[Labelled], share: float, seed: str) -> list[bool]:
    limit = int(share * 16**12)
    return [int(fingerprint.of_parts([seed, one.key])[:12], 16) < limit for one in examples]


class _Probing:
    """One probe under way."""

    def __init__(
        self,
        opened: Checkpoint,
        train: list[Labelled],
        test: list[Labelled],
        names: tuple[str, str],
        seed: int,
        progress: Progress,
    ) -> None:
        self._opened, self._seed, self._progress, self._fitter = opened, seed, progress, Fitter()
        self._words = isinstance(train[0], TaggedText) if train else False
        if test and isinstance(test[0], TaggedText) is not self._words:
            raise InputError(f"{names[1]}: other things are labelled than in {names[0]}", hint="give files of one kind")
        self._how = poolings(opened.model, words=self._words)
        self._train, self._test = self._fitting(train, test)
        self._names = names
        self._rows = [self._read(examples) for examples in (self._train, self._test)]
        self._kept = [[len(one.spans) for one in rows] for rows in self._rows]
        self._numbers = self._numbered()

    def run(self) -> Probed:
        """Probe the model, then what it is held against."""
        truth, asked = (
            probing.number_labels(examples, kept, lambda label: self._numbers.get(label, len(self._numbers)))
            for examples, kept in zip((self._train, self._test), self._kept, strict=True)
        )
        apart = np.repeat(_apart(self._train, _APART_SHARE, "apart"), self._kept[0])
        self._check(truth, apart, asked)
        split = Split(truth, apart)
        chosen, layers, guesses = self._probe(self._opened.model, split)
        device = self._opened.model.embedding.weight.device
        unlearnt = Transformer(self._opened.config, seed=self._seed).to(device).eval()
        random, _, random_guesses = self._probe(unlearnt, split)
        train, test = (
            probing.texts_of(examples, kept)
            for examples, kept in zip((self._train, self._test), self._kept, strict=True)
        )
        sparse, how = probing.tfidf(train, test, split, self._fitter, words=self._words)
        texts = np.repeat(np.arange(len(self._test)), self._kept[1])
        rows = [
            ("this model", guesses, _words_of(chosen)),
            ("the same network, not trained", random_guesses, _words_of(random)),
        ]
        rows.append(("TF-IDF of its letters" if self._words else "TF-IDF of words", sparse, how))
        if self._words:
            rows.append(("most frequent for the word", probing.word_majority(train, truth, test), ""))
        rows.append(("most frequent", probing.majority(truth, len(test)), ""))
        classes = len(self._numbers) + 1
        found = tuple(Row(name, agreement(asked, guess, texts, classes), words) for name, guess, words in rows)
        counts = {"train": len(truth), "apart": int(apart.sum()), "test": len(asked)}
        return Probed(found, chosen, tuple(layers), self._scores(found[0]), tuple(self._numbers), counts, self._note())

    def _fitting(self, train: list[Labelled], test: list[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
        """Return as many of each as there is room for features of."""
        items = sum(len(one.labels) for one in (*train, *test))
        share = MOST_BYTES / max(1, items * bytes_an_item(self._opened.model, self._how))
        if share >= 1:
            return train, test
        return _some(train, max(1, int(share * len(train)))), _some(test, max(1, int(share * len(test))))

    def _read(self, examples: Sequence[Labelled]) -> list[TokenRow]:
        return [row(self._opened.tokenizer, one, self._opened.config.context_length) for one in examples]

    def _numbered(self) -> dict[str, int]:
        names = sorted(
            {label for one, kept in zip(self._train, self._kept[0], strict=True) for label in one.labels[:kept]}
        )
        return {name: number for number, name in enumerate(names)}

    def _check(self, truth: Labels, apart: np.ndarray, asked: Labels) -> None:
        """Refuse what nothing can be learnt from."""
        if len(truth) and len(self._numbers) == 1:
            raise InputError(
                f"{self._names[0]}: all {len(truth)} labels are `{next(iter(self._numbers))}`, so there is nothing to "
                "tell apart",
                hint="give texts of two classes or more",
            )
        if min(int(apart.sum()), int((~apart).sum())) < _LEAST_ITEMS or len(np.unique(truth[~apart])) < 2:
            raise InputError(
                f"{self._names[0]}: {len(truth)} labelled items are too few to choose and fit a classifier on",
                hint="give 100 or more, of every class",
            )
        if not len(asked):
            raise InputError(
                f"{self._names[1]}: nothing is left to test on", hint="give more texts, or --probe-test FILE"
            )

    def _probe(self, model: Transformer, split: Split) -> tuple[Chosen, list[Chosen], Labels]:
        made: list[Features] = []
        with self._progress.task("states", sum(map(len, self._rows)), "texts") as task:
            made += [features(model, rows, self._how, task) for rows in self._rows]
        with self._progress.task("classifiers", (len(model.blocks) + 1) * len(self._how), "fits") as task:
            chosen, layers = probing.choose(made[0], split, self._fitter, task)
        return chosen, layers, probing.guess(made[0], made[1], chosen, split.labels, self._fitter)

    def _scores(self, one: Row) -> tuple[Score, ...]:
        data = fingerprint.of_parts(sorted(f"{example.key} {' '.join(example.labels)}" for example in self._test))
        units = {"accuracy": "of words" if self._words else "of texts", "macro_f1": "mean of classes", "mcc": ""}
        return tuple(
            Score(f"probe_{name}", one.agreement.values[name], one.agreement.errors[name], units[name],
                  self._opened.tokenizer.fingerprint, data)
            for name in NAMES
        )  # fmt: skip

    def _note(self) -> str:
        kind, cut = "words" if self._words else "texts", sum(one.cut for rows in self._rows for one in rows)
        seen = {one.key for one in self._train}
        shared = sum(one.key in seen for one in self._test)
        new = sum(label not in self._numbers for one in self._test for label in one.labels)
        words = [
            "layer, pooling and regularisation were chosen on a fifth of the training texts, which was set apart by "
            "content; the test was asked once; errors are by a bootstrap over its texts",
            f"{shared} of {len(self._test)} test texts stand in training too",
        ]
        if cut:
            words.append(f"{cut} {kind} did not fit into the context of {self._opened.config.context_length} whole")
        if new:
            words.append(f"{new} test labels occur nowhere in training, and count as missed")
        if self._fitter.unfinished:
            words.append(f"{self._fitter.unfinished} of {self._fitter.fits} fits were stopped before their end")
        return "; ".join(words)


def _words_of(chosen: Chosen) -> str:
    return f"layer {chosen.layer}, {chosen.pooling}, C {chosen.strength:g}"
