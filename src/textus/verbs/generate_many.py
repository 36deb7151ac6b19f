"""Write texts for a file of prompts, into a file that can be gone on with after an interruption."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.checkpoint.checkpoint import WEIGHTS, Checkpoint
from textus.decoding import words
from textus.decoding.config import SamplingConfig
from textus.decoding.constrain import Grammar
from textus.decoding.engine.engine import Engine
from textus.decoding.engine.quantize import is_quantized
from textus.decoding.generate import ROWS_AT_ONCE, checked, fitting, generate_each
from textus.decoding.piece import Completion, Piece, collect
from textus.decoding.prompt import Cut, framed
from textus.decoding.speculative import Draft
from textus.decoding.step import Telling
from textus.errors import ConfigError, TextusError
from textus.progress import SILENT, Progress
from textus.safety.gate import Gate, Outlet, refused
from textus.verbs import jsonl
from textus.verbs.generate import ended, strategy_for, stream
from textus.verbs.load import load

EXAMPLE = '{"prompt": "Once upon a time"}'
FIXED = 8
"""How many tokens go through the model in one pass."""
OURS = ("completions", "made_by")
"""The keys that are added to each line."""


def generate_many(
    model: str | Path | Checkpoint,
    prompts: Path,
    out: Path,
    sampling: SamplingConfig,
    *,
    n: int = 1,
    cut: Cut = "refuse",
    grammar: Grammar | None = None,
    draft: Draft | None = None,
    gate: Gate | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write each line of `prompts` to `out` with its completions; return how many were there already.

    A prompt's texts depend on the prompt and the settings, not on the file around it. All prompts are looked at before
    the first text is written. What an interrupted call has finished is kept if model, prompts and settings are the
    same, and refused otherwise.
    """
    opened = model if isinstance(model, Checkpoint) else load(model)
    sampling = ended(opened, sampling)
    lines = jsonl.read(prompts, ("prompt",), EXAMPLE)
    for number, line in enumerate(lines, 1):
        _check(f"{prompts}, prompt {number}", opened, line, cut)
    made_by = _made_by(opened, sampling, n, cut, grammar, gate)
    done = _finished(out, lines, made_by)
    with (
        storage.refusals(out),
        out.open("ab") as file,
        progress.task("writing", float(len(lines)), "prompts") as task,
    ):
        task.advance(done)
        left = [line["prompt"] for line in lines[done:]]
        texts: Iterator[list[Completion]]
        if sampling.beams > 1 or draft is not None:
            texts = (
                collect(
                    stream(opened, prompt, sampling, n=n, cut=cut, grammar=grammar, draft=draft, gate=gate),
                    n,
                    sampling.logprobs,
                )
                for prompt in left
            )
        else:
            texts = _side_by_side(opened, left, sampling, n, cut, grammar, gate)
        for line, completions in zip(lines[done:], texts, strict=True):
            found = [completion.as_dict() for completion in completions]
            file.write(_record(line, found, made_by))
            file.flush()
            os.fsync(file.fileno())
            task.advance()
    return done


def _side_by_side(
    opened: Checkpoint,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    n: int,
    cut: Cut,
    grammar: Grammar | None,
    gate: Gate | None,
) -> Iterator[list[Completion]]:
    """Write the texts of all prompts with one engine; yield those of each prompt, in their order.

    Its passes are of one size, so that a text is the same to the last bit whatever was written beside it: what an
    interrupted call leaves to be written comes out as it would have.
    """
    if not prompts:
        return
    stops = words.stop_tokens(opened.tokenizer, sampling.stop_tokens)
    ending = checked(sampling.max_tokens, sampling.stop, stops, sampling.stop_loops, sampling.seed, n)
    verdicts = [gate.admit(prompt) for prompt in prompts] if gate is not None else []
    blocked = {number: list(refused(verdict, n)) for number, verdict in enumerate(verdicts) if verdict.blocked}
    admitted = [verdict.text for verdict in verdicts] if gate is not None else prompts
    places = [number for number in range(len(prompts)) if number not in blocked]
    framed_prompts = [framed(opened.model, opened.tokenizer, admitted[number], cut) for number in places]
    longest = max(map(len, framed_prompts), default=1) + sampling.max_tokens
    rows = min(ROWS_AT_ONCE, n * len(prompts))
    engine = Engine(opened.model, opened.tokenizer, fitting(opened.model, rows, longest, fixed_batch=FIXED))
    strategy = strategy_for(opened, sampling, grammar)
    pieces: dict[int, list[Piece]] = {**blocked}
    over: Counter[int] = Counter(dict.fromkeys(blocked, n))
    next_one = 0
    telling = Telling(sampling.logprobs)
    written = generate_each(engine, framed_prompts, strategy, ending, n=n, seed=sampling.seed, telling=telling)
    nothing_more: Iterable[tuple[int, Piece | None]] = [(-1, None)]
    for number, piece in chain(_guarded(written, gate, places, sampling), nothing_more):
        if piece is not None:
            pieces.setdefault(number, []).append(piece)
            over[number] += bool(piece.finish_reason)
        while over[next_one] == n:
            yield collect(pieces.pop(next_one), n, sampling.logprobs)
            next_one += 1


def _guarded(
    written: Iterable[tuple[int, Piece]], gate: Gate | None, places: Sequence[int], sampling: SamplingConfig
) -> Iterator[tuple[int, Piece]]:
    """Yield the pieces that may pass, with the numbers of their prompts among all."""
    lag = max(map(len, sampling.stop), default=1)
    outlets: dict[tuple[int, int], Outlet] = {}
    for number, piece in written:
        if gate is None:
            yield places[number], piece
            continue
        key = number, piece.row
        outlet = outlets.get(key) or outlets.setdefault(key, gate.outlet(lag))
        yield from ((places[number], passing) for passing in outlet.take(piece))


def _record(line: Mapping[str, Any], completions: Sequence[Mapping[str, Any]], made_by: str) -> bytes:
    return json.dumps({**line, "completions": completions, "made_by": made_by}, ensure_ascii=False).encode() + b"\n"


def _check(place: str, opened: Checkpoint, line: Mapping[str, Any], cut: Cut) -> None:
    if taken := [key for key in OURS if key in line]:
        raise ConfigError(f"{place}: it has a key `{taken[0]}`", hint="name it otherwise: the result is put there")
    if not line["prompt"]:
        raise ConfigError(f"{place}: the prompt is empty", hint="take the line out")
    try:
        framed(opened.model, opened.tokenizer, line["prompt"], cut)
    except TextusError as error:
        raise ConfigError(f"{place}: {error.message}", hint=error.hint) from None


def _made_by(
    opened: Checkpoint, sampling: SamplingConfig, n: int, cut: Cut, grammar: Grammar | None, gate: Gate | None
) -> str:
    """Name all that the texts depend on besides their prompts. A draft changes nothing."""
    parts = [
        fingerprint.of_file(opened.directory / WEIGHTS),
        opened.tokenizer.fingerprint,
        fingerprint.of_value(sampling),
        fingerprint.of_value([n, cut]),
        fingerprint.of_value(grammar) if grammar else "",
        *([gate.name] if gate is not None else []),
        *(["int8"] if is_quantized(opened.model) else []),
    ]
    return fingerprint.short(fingerprint.of_parts(parts))


def _finished(out: Path, lines: Sequence[Mapping[str, Any]], made_by: str) -> int:
    """Count the prompts that are done already; a last line that was cut off is taken away."""
    if not out.exists():
        return 0
    with storage.refusals(out):
        data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    done = 0
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = {}
        asked = lines[number - 1] if number <= len(lines) else {}
        kept = {key: value for key, value in record.items() if key not in OURS} if isinstance(record, dict) else {}
        if not asked or kept != asked or record.get("made_by") != made_by:
            raise ConfigError(
                f"{out}:{number}: not the result of this prompt with this model and these settings",
                hint="write to another file, or delete this one",
            )
        done += 1
    if len(whole) < len(data):
        with storage.refusals(out):
            os.truncate(out, len(whole))
    return done
