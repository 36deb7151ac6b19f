"""Make vectors by which queries find what answers them: learn by contrast, choose, measure beside BM25."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from textus import fingerprint
from textus.adaptation.config import EmbedSettings
from textus.adaptation.encode import fitting, text_tokens
from textus.adaptation.heads import Measures, concluded, finished, left_out_words, reading_of
from textus.adaptation.job import Adapted, Job
from textus.adaptation.outcome import Row
from textus.adaptation.parts import divided
from textus.adaptation.predict import text_vectors
from textus.adaptation.queries import Collection, Query, read_queries
from textus.adaptation.retrieval import ABSENT, by_words, nearest, of_ranking
from textus.adaptation.trials import Lesson, Start, look
from textus.dataset.labelled import Data
from textus.dataset.pairs import Pairs
from textus.errors import ConfigError
from textus.model.headed import Headed, TaskConfig
from textus.model.pooling import shortened
from textus.objectives.contrast import Contrast
from textus.tokenizer.tokenizer import Tokenizer


def embed(job: Job) -> Adapted:
    """Adapt a model to give near vectors to queries and what answers them."""
    settings: EmbedSettings = job.settings
    start = Start.open(job.checkpoint)
    config, tokenizer = start.opened.config, start.opened.tokenizer
    task = TaskConfig("embed", pooling=settings.pooling, reading=reading_of(config))
    _refuse(settings, task, config.hidden_size)
    collection = read_queries(job.data, settings.data)
    tested = read_queries(settings.data.test, settings.data) if settings.data.test else Collection()
    parts = divided(collection.queries, tested.queries, settings.data)
    data = fingerprint.of_value([[vars(query) for query in part] for part in (parts.train, parts.choice, parts.test)])
    data = fingerprint.of_parts([data, fingerprint.of_value([collection.passages, tested.passages])])
    if (done := finished(job, data, start)) is not None:
        return done
    learnt = _Shelf(collection, tokenizer, config.context_length, settings)
    searched = _Shelf(tested, tokenizer, config.context_length, settings) if settings.data.test else learnt
    named, found = Data(data, tokenizer.fingerprint), look(settings.training)
    lesson = Lesson(
        job=job,
        start=start,
        task=task,
        objective=Contrast(
            settings.temperature,
            settings.dimensions,
            max(1, settings.training.micro_batch_tokens // config.context_length),
            task.reading,
        ),
        tuning=settings.training,
        training=lambda seed, batch: learnt.pairs(parts.train, named, seed=seed, batch=batch),
        choice=learnt.pairs(parts.choice, named, ordered=True),
        count=len(parts.train),
        machine=found,
        stays_whole=True,
    )
    untrained = Headed.over(start.opened.model, task, 0, 0.0).to(found.device)
    others = [Row.of("before it was adapted", [searched.reached(untrained, parts.test)], 0)]
    if settings.beside.counting and (ranked := searched.by_words(parts.test)) is not None:
        others.append(Row.of("BM25", [ranked], 0))
    absent = (ABSENT,) if settings.beside.counting and len(others) == 1 else ()
    return concluded(
        lesson,
        data,
        lambda model: searched.reached(model, parts.test, settings.dimensions),
        settings.beside,
        others,
        (
            f"{len(parts.test)} queries search {len(searched.names)} passages.",
            *absent,
            *left_out_words(parts.leaked),
        ),
        {"examples": parts.sizes, "passages": len(searched.names), "pooling": settings.pooling},
    )


def _refuse(settings: EmbedSettings, task: TaskConfig, size: int) -> None:
    if task.reading == "causal" and settings.pooling == "cls":
        raise ConfigError(
            "the first state of a model that reads from left to right has seen nothing of the text",
            hint="set pooling=mean or last",
        )
    if any(dimensions >= size for dimensions in settings.dimensions):
        raise ConfigError(
            f"dimensions={list(settings.dimensions)}: the model's vectors have {size} numbers",
            hint="give smaller numbers, or leave it out",
        )


class _Shelf:
    """The passages of a collection as tokens, by number."""

    def __init__(self, collection: Collection, tokenizer: Tokenizer, context: int, settings: EmbedSettings) -> None:
        self._collection, self._settings = collection, settings
        self._tokenizer, self._context = tokenizer, context
        self.names = {name: number for number, name in enumerate(collection.passages)}
        self._passages = [self._tokens(text, f"passage {name[:40]!r}") for name, text in collection.passages.items()]

    def pairs(
        self, queries: Sequence[Query], named: Data, *, seed: int = 0, batch: int = 1, ordered: bool = False
    ) -> Pairs:
        """Return queries with passages as rows that training can show."""
        return Pairs(
            [self._tokens(query.text, query.place) for query in queries],
            self._passages,
            [list(self._relevant(query)) for query in queries],
            [[self.names[name] for name in query.negatives] for query in queries],
            named,
            hard=self._settings.hard_negatives,
            seed=seed,
            batch=batch,
            ordered=ordered,
        )

    def reached(self, model: Headed, queries: Sequence[Query], dimensions: Sequence[int] = ()) -> Measures:
        """Search by a model's vectors; of shorter ones, too, where there are some that shall serve."""
        asked = text_vectors(model, [self._tokens(query.text, query.place) for query in queries])
        shelf = text_vectors(model, self._passages)
        found = dict(self._worth(self._ranked(asked, shelf, asked.shape[1]), queries))
        for size in dimensions:
            short = self._worth(self._ranked(asked, shelf, size), queries)
            found |= {f"{name}_of_{size}": measure for name, measure in short.items()}
        return found

    def by_words(self, queries: Sequence[Query]) -> Measures | None:
        """Search by BM25."""
        ranked = by_words([query.text for query in queries], list(self._collection.passages.values()))
        return None if ranked is None else self._worth(ranked, queries)

    def _ranked(self, asked: Tensor, shelf: Tensor, size: int) -> list[list[int]]:
        return nearest(shortened(asked, size, normalise=True), shortened(shelf, size, normalise=True))

    def _worth(self, ranking: Sequence[Sequence[int]], queries: Sequence[Query]) -> Measures:
        return of_ranking(ranking, [self._relevant(query) for query in queries])

    def _relevant(self, query: Query) -> Mapping[int, int]:
        return {self.names[name]: grade for name, grade in query.relevant}

    def _tokens(self, text: str, place: str) -> list[int]:
        tokens = text_tokens(self._tokenizer, text)
        return fitting(tokens, self._context, place, self._settings.data.too_long)
