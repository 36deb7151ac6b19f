"""Prove that a model sees what it may see and nothing else, by changing one token at a time."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from textus.errors import ArtefactError
from textus.model.transformer import Reading, Transformer

_TIME = 16
"""Positions that are tried, where the context has as many."""
_NOISE = 1e-4
"""Largest change of a state, whose size is about 1, that rounding may cause."""


def check_leaks(model: Transformer, seed: int = 0) -> None:
    """Raise `ArtefactError` naming the first position that sees too much, or one that is blind.

    A causal model's states must not change with a later token and must change with an earlier one; a bidirectional
    model's must change with both sides; neither may change with another document. A model that reads in both ways is
    tried in each. Whole rows and rows of several documents are tried, with gradients and without, since these take
    different paths. Needs about 70 forward passes over 16 tokens for each way of reading.
    """
    generator = torch.Generator().manual_seed(seed)
    time = min(_TIME, model.config.context_length)
    tokens = torch.randint(model.config.vocab_size, (time,), generator=generator)
    packed = torch.arange(time) * 3 // time
    training = model.training
    model.eval()
    try:
        for reading, gradients, documents in product(model.config.readings, (False, True), (None, packed)):
            with torch.set_grad_enabled(gradients):
                _compare(_influence(model, tokens, documents, reading), documents, reading == "causal")
    finally:
        model.train(training)


def _influence(
    model: Transformer, tokens: Int[Tensor, " time"], documents: Int[Tensor, " time"] | None, reading: Reading
) -> Bool[Tensor, "time time"]:
    """Tell whether a change of input [row] changes the state at position [column]."""
    time = len(tokens)
    rows = tokens.repeat(time + 1, 1)
    # row 0 stays as it is; row j + 1 differs from it at j
    rows[1:].diagonal().copy_((tokens + 1) % model.config.vocab_size)
    device = model.embedding.weight.device
    numbers = None if documents is None else documents.repeat(time + 1, 1).to(device)
    # the way that is always taken, unless there is another
    options: dict[str, Any] = {} if reading == model.config.attention else {"attention": reading}
    states = model.encode(rows.to(device), numbers, **options).detach().float()
    if not bool(states.isfinite().all()):
        raise ArtefactError(
            "the model's states are not finite numbers", hint="its weights are damaged; use an earlier checkpoint"
        )
    return ((states[1:] - states[:1]).abs().amax(2) > _NOISE).cpu()


def _compare(seen: Bool[Tensor, "time time"], documents: Int[Tensor, " time"] | None, causal: bool) -> None:
    time = len(seen)
    allowed = torch.ones(time, time, dtype=torch.bool)
    if documents is not None:
        allowed &= documents.unsqueeze(1) == documents.unsqueeze(0)
    beside = "one of another document"
    if bool((seen & ~allowed).any()):
        _refuse(seen & ~allowed, f"depends on input {{}}, {beside}")
    if causal:
        allowed = allowed.triu()
        if bool((seen & ~allowed).any()):
            _refuse(seen & ~allowed, "depends on input {}, which comes after it")
    # one neighbour on a side is enough: a trained head may well pass over a single token
    for side, words in ((allowed.triu(1), "before"), (allowed.tril(-1), "after")):
        blind = side.any(0) & ~(side & seen).any(0)
        if bool(blind.any()):
            raise ArtefactError(
                f"output {int(blind.nonzero()[0])} of the model depends on no input {words} it",
                hint="attention is not what the model's config says; this is a defect of the model's code",
            )


def _refuse(leaks: Bool[Tensor, "time time"], words: str) -> None:
    source, position = leaks.nonzero()[0].tolist()
    raise ArtefactError(
        f"output {position} of the model {words.format(source)}",
        hint="its loss would be too good to be true; this is a defect of the model's code, not of the data",
    )
