"""The windows that a run is trained on: the training part as it is, or its sources in given proportions."""

from __future__ import annotations

from textus.dataset.mixture import Mixture, mix, names_of
from textus.dataset.pack import Windows
from textus.training.plan import Plan
from textus.verbs.stages import Stages


def training_windows(stages: Stages, made: Plan) -> Windows | Mixture:
    """Return the windows of the training part, and say how often each source will be shown where they are mixed."""
    split, settings = stages.shards.split("train"), stages.settings
    context, seed = made.model.context_length, made.recipe.seed
    offset = settings.objective.offset
    if settings.mixture.is_off:
        return Windows(split, context, offset, seed)
    names = [names_of(document) for document in stages.corpus.documents("train")]
    mixture = mix(split, names, settings.mixture, context, offset, seed)
    num_windows = made.recipe.rows_before(made.recipe.steps, context)
    shown = mixture.epochs(num_windows)
    total = sum(mixture.weights)
    parts = (
        f"{name} {weight / total:.1%} of the windows, {shown[name]:.3g} epochs"
        for name, weight in zip(mixture.names, mixture.weights, strict=True)
    )
    stages.progress.say(f"mixture: {'; '.join(parts)}")
    return mixture
