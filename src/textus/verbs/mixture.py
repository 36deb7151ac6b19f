"""The windows that a run is trained on: the training part as it is, or its sources in given proportions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from textus.corpus.corpus import Corpus
from textus.dataset.config import MixtureConfig
from textus.dataset.mixture import Mixture, mix, names_of
from textus.dataset.pack import Windows
from textus.dataset.split import TokenSplit
from textus.dataset.tokenize import Shards
from textus.errors import ConfigError
from textus.training.plan import Plan
from textus.verbs.replay import old_shards, with_replay
from textus.verbs.stages import Stages


def shown_windows(
    split: TokenSplit,
    corpus: Callable[[], Corpus],
    config: MixtureConfig,
    context_length: int,
    offset: Literal[0, 1],
    seed: int,
) -> Windows | Mixture:
    """Return the windows that training shows; the corpus, which tells sources apart, is opened only to mix them."""
    if config.is_off:
        return Windows(split, context_length, offset, seed)
    names = [names_of(document) for document in corpus().documents("train")]
    return mix(split, names, config, context_length, offset, seed)


def replayed(stages: Stages) -> Shards:
    """Return the tokens of what the model learnt first that training starts from; raise `ConfigError` without one."""
    if stages.start is None:
        raise ConfigError(
            f"replay.share is {stages.settings.replay.share}, and training starts from nothing",
            hint="set training.start_from to the directory of a model, or replay.share=0",
        )
    settings = stages.settings
    start, progress = stages.start.directory, stages.progress
    return old_shards(start, settings.replay, settings.corpus, stages.tokenizer, stages.directory, progress)


def training_windows(stages: Stages, made: Plan) -> Windows | Mixture:
    """Return the windows of the training part, and say how often each source will be shown where they are mixed."""
    split, settings = stages.shards.split("train"), stages.settings
    context, seed = made.model.context_length, made.recipe.seed
    offset = settings.objective.offset
    shown = shown_windows(split, lambda: stages.corpus, settings.mixture, context, offset, seed)
    if settings.replay.share:
        shown = with_replay(shown, replayed(stages).split("train"), settings.replay.share, seed)
    if isinstance(shown, Windows):
        return shown
    num_windows = made.recipe.rows_before(made.recipe.steps, context)
    epochs, total = shown.epochs(num_windows), sum(shown.weights)
    parts = (
        f"{name} {weight / total:.1%} of the windows, {epochs[name]:.3g} epochs"
        for name, weight in zip(shown.names, shown.weights, strict=True)
    )
    stages.progress.say(f"mixture: {'; '.join(parts)}")
    return shown
