"""Which way of sharing a model serves the processes that there are."""

from __future__ import annotations

from textus.errors import ConfigError
from textus.model.transformer import Transformer
from textus.training.distributed import Ranks
from textus.training.recipe import Recipe
from textus.training.recorded import alone
from textus.training.together import Alone, Replicated


def assemble(ranks: Ranks, model: Transformer, recipe: Recipe) -> Alone:
    """Return what takes a step together with the other processes, once these are connected."""
    if ranks.world == 1:
        return alone(recipe)
    if recipe.parallel == "fsdp":
        if recipe.future_tokens or recipe.ema != "off" or recipe.swa != "off":
            raise ConfigError(
                "training.parallel=fsdp: it spreads no averages of weights and no heads for further tokens",
                hint="set training.parallel=ddp, or training.ema=off training.swa=off training.future_tokens=0",
            )
        from textus.training.sharded import Sharded  # takes a while to import

        return Sharded(ranks, model, recipe)
    return Replicated(ranks, model, recipe)


def chosen(recipe: Recipe, needed_bytes: int, free_bytes: int) -> str:
    """Return how to share a model: whole in each process where that fits in the memory of each."""
    if recipe.parallel != "auto":
        return recipe.parallel
    return "ddp" if needed_bytes <= free_bytes else "fsdp"
