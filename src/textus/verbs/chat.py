"""Answer in a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.chat import Form, Layout, Message, Templated, check_turns, fit
from textus.decoding.config import SamplingConfig
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.piece import Completion, Piece, collect
from textus.safety.audit import Audit
from textus.safety.gate import Gate, refused
from textus.safety.guard import Guard
from textus.safety.policy import Policy
from textus.safety.verdict import Verdict
from textus.tokenizer.template import ChatTemplate
from textus.tokenizer.turns import Turns
from textus.verbs.generate import run_sampling, stream
from textus.verbs.guarding import gate_of
from textus.verbs.load import load

ROOM = 4
"""One in so many tokens of the context is left for the answer, before old turns are left out of the prompt."""


def chat(
    model: str | Path | Checkpoint,
    messages: Sequence[Message],
    *,
    layout: Form | None = None,
    policy: str | Path | Policy | Guard = "",
    guard: str | Path = "",
    audit: Audit | None = None,
    **sampling: Any,
) -> Completion:
    """Return the model's next turn; `sampling` holds fields of `SamplingConfig`.

    The oldest exchanges are left out where the context is too short for all. The turns are written as `layout` says, or
    else as the model's own chat template does, if it has one. With a `policy` (a TOML file or `default`) or the
    directory of a `guard`, what is said and what is answered is judged; `audit` logs it.
    """
    opened = model if isinstance(model, Checkpoint) else load(model)
    config = settings.replace(run_sampling(opened.directory), sampling)
    gate = gate_of(policy, guard, audit)
    pieces, _ = answer(opened, messages, config, layout or form_of(opened), gate=gate)
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
    gate: Gate | None = None,
) -> tuple[Iterator[Piece], int]:
    """Begin the model's next turn; return its pieces, and how many exchanges were left out for want of room.

    With the same `engine` for all turns, what was said before is not read again. Behind a `gate`, all that others than
    the model said is judged, and its answer; the last turn is what is logged.
    """
    check_turns(messages)
    if gate is not None:
        verdicts = [_admitted(gate, message, message is messages[-1]) for message in messages]
        if blocked := [verdict for verdict in verdicts if verdict is not None and verdict.blocked]:
            return refused(blocked[0], 1), 0
        judged = zip(messages, verdicts, strict=True)
        messages = [one if verdict is None else replace(one, content=verdict.text) for one, verdict in judged]
    context = opened.config.context_length
    room = context - 1 - min(config.max_tokens, context // ROOM)
    kept, dropped = fit(messages, layout, lambda prompt: _length(opened, prompt), room)
    stops = (*config.stop, *(stop for stop in layout.stop if stop not in config.stop))
    prompt = layout.prompt(kept)
    bare = not isinstance(prompt, str)
    changed = settings.replace(config, {"stop": stops})
    pieces = stream(opened, prompt, changed, bare=bare, engine=engine)
    if gate is not None:  # what went in has been judged message by message
        pieces = gate.let_out(pieces, 1, max(map(len, stops), default=1))
    return pieces, dropped


def _admitted(gate: Gate, message: Message, log: bool) -> Verdict | None:
    """Judge what somebody said; the model's own words were judged when they were written."""
    return None if message.role == "assistant" else gate.admit(message.content, log=log)


def _length(opened: Checkpoint, prompt: str | list[int]) -> int:
    return len(opened.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt)
