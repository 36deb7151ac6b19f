"""Give a model what helps it to learn, and take it away again."""

from __future__ import annotations

from textus.errors import ConfigError
from textus.model.aids import Aids
from textus.model.transformer import Transformer
from textus.training.recipe import Recipe


def attach(model: Transformer, recipe: Recipe) -> None:
    """Give `model` the aids that `recipe` asks for, if any; those that it has and that serve begin anew.

    Raises `ConfigError` where tokens after the next one are asked of a model that sees them.
    """
    before, model.aids = model.aids, None
    if not recipe.z_loss and not recipe.future_tokens:
        return
    if recipe.future_tokens and (model.config.attention != "causal" or model.config.reads_both_ways):
        raise ConfigError(
            f"training.future_tokens is {recipe.future_tokens}, and a model that reads both ways sees those tokens",
            hint="set training.future_tokens=0, or choose a causal objective",
        )
    if recipe.future_tokens >= model.config.context_length:
        raise ConfigError(
            f"training.future_tokens is {recipe.future_tokens}, and a context holds {model.config.context_length}",
            hint="one to three are usual",
        )
    aids = Aids(
        model.config.hidden_size,
        z_loss=recipe.z_loss,
        future_tokens=recipe.future_tokens,
        future_weight=recipe.future_weight,
    )
    # what has wrapped the model since may hold on to them
    if before is not None and before.settings == aids.settings:
        model.aids = before
        before.begin()
    else:
        model.aids = aids.to(model.embedding.weight.device).train(model.training)
