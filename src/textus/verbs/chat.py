"""Answer in a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.chat import Form, Layout, Message, Templated, check_turns, fit
from textus.decoding.config import SamplingConfig
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.piece import Completion, Piece, collect
from textus.tokenizer.template import ChatTemplate
from textus.tokenizer.turns import Turns
from textus.verbs.generate import run_sampling, stream
from textus.verbs.load import load

ROOM = 4
"""One in so many tokens of the context is left for the answer, before old turns are left out of the prompt."""


def chat(
    model: str | Path | Checkpoint, messages: Sequence[Message], *, layout: Form | None = None, **sampling: Any
) -> Completion:
    """Return the model's next turn; `sampling` holds fields of `SamplingConfig`.

    The oldest exchanges are left out where the context is too short for all. The turns are written as `layout` says, or
    else as the model's own chat template does, if it has one.
    """
    opened = model if isinstance(model, Checkpoint) else load(model)
    config = settings.replace(run_sampling(opened.directory), sampling)
    pieces, _ = answer(opened, messages, config, layout or form_of(opened))
    (completion,) = collect(pieces, 1, config.logprobs)
    return completion


def form_of(opened: Checkpoint) -> Form:
    """Return how a model's turns are written: by the chat template in its directory, or by names for want of one."""
    template = ChatTemplate.load(opened.manner)
    return Layout() if template is None else Templated(Turns.of(template, opened.tokenizer))


def chat_engine(opened: Checkpoint) -> Engine:
    """Return an engine for one conversation, with room for what was said before the last turn was left out."""
    config = EngineConfig(batch_size=1, cache_tokens=2 * opened.config.context_length)
    return Engine(opened.model, opened.tokenizer, config)


def answer(
    opened: Checkpoint,
    messages: Sequence[Message],
    config: SamplingConfig,
    layout: Form,
    engine: Engine | None = None,
) -> tuple[Iterator[Piece], int]:
    """Begin the model's next turn; return its pieces, and how many exchanges were left out for want of room.

    With the same `engine` for all turns, what was said before is not read again.
    """
    check_turns(messages)
    context = opened.config.context_length
    room = context - 1 - min(config.max_tokens, context // ROOM)
    kept, dropped = fit(messages, layout, lambda prompt: _length(opened, prompt), room)
    stops = (*config.stop, *(stop for stop in layout.stop if stop not in config.stop))
    prompt = layout.prompt(kept)
    bare = not isinstance(prompt, str)
    changed = settings.replace(config, {"stop": stops})
    return stream(opened, prompt, changed, bare=bare, engine=engine), dropped


def _length(opened: Checkpoint, prompt: str | list[int]) -> int:
    return len(opened.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt)
