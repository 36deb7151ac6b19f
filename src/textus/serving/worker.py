"""The engine's process: frames in, frames out; one thread writes, two make requests ready, one listens."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from textus.decoding.engine.engine import Handle
from textus.decoding.piece import Piece
from textus.decoding.step import Telling
from textus.errors import ConfigError
from textus.safety.gate import BLOCKED
from textus.serving import frames
from textus.serving.config import Limits
from textus.serving.gate import Gate, Mark, Passage
from textus.serving.jobs import Desk, Writing
from textus.serving.refusal import Refusal, in_words
from textus.serving.served import Served

_READY = 2
"""Threads that make requests ready: a long list of texts to embed must not keep a short prompt waiting."""
_FINISH = {"end": "stop", "stop": "stop", "length": "length", "loop": "length"}
_logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Text:
    """One text under way."""

    number: int
    """Of the request."""
    index: int
    writing: Writing
    passage: Passage
    handle: Handle | None
    waits: int
    """How many tokens of its prompt are still to be read."""
    written: int = 0
    over: bool = False


@dataclass(eq=False)
class Asked:
    """A request for texts under way."""

    job: Mapping[str, Any]
    texts: list[Text] = field(default_factory=list)


class Worker:
    """Serve requests until nobody is there to ask."""

    def __init__(
        self, models: Mapping[str, Served], gate: Gate, limits: Limits, source: BinaryIO, sink: BinaryIO
    ) -> None:
        self._models, self._gate, self._limits = models, gate, limits
        self._source, self._sink = source, sink
        self._desk = Desk(models, gate)
        self._inbox: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._asked: dict[int, Asked] = {}
        self._cancelled: set[int] = set()
        self._preparing: set[int] = set()
        self._out: list[list[Any]] = []
        self._speed = 0.0  # tokens of prompts that are read in a second

    def run(self) -> None:
        """Answer what comes, until the other process has gone."""
        self._tell({"ready": [served.facts() for served in self._models.values()]})
        threading.Thread(target=self._listen, daemon=True).start()
        with ThreadPoolExecutor(_READY, "ready") as pool:
            while self._take(pool):
                self._step()
                self._flush()

    def _listen(self) -> None:
        try:
            while True:
                self._inbox.put(("job", frames.read(self._source), None))
        except (EOFError, OSError):
            self._inbox.put(("gone", None, None))

    def _take(self, pool: ThreadPoolExecutor) -> bool:
        """Take what has come; wait for it where there is nothing to write."""
        while True:
            try:
                kind, value, extra = self._inbox.get(block=not self._asked)
            except queue.Empty:
                return True
            if kind == "gone":
                return False
            if kind == "job":
                self._begin(value, pool)
            elif kind == "ready":
                self._start(value, extra)
            else:
                self._event(value, kind, extra)
            self._flush()

    def _begin(self, job: Mapping[str, Any], pool: ThreadPoolExecutor) -> None:
        number = job["id"]
        if job["op"] == "cancel":
            if number in self._preparing:
                self._cancelled.add(number)
            self._forget(number)
        elif job["op"] == "usage":
            self._event(number, "result", self._usage())
        else:
            self._preparing.add(number)
            pool.submit(self._prepare, job)

    def _prepare(self, job: Mapping[str, Any]) -> None:
        """Run beside the thread that writes: nothing here may touch what it holds."""
        number = job["id"]
        try:
            if number in self._cancelled:
                self._inbox.put(("ready", job, None))
            elif job["op"] == "write":
                self._inbox.put(("ready", job, self._desk.writing(job)))
            else:
                self._inbox.put(("result", number, self._desk.answer(job)))
        except Refusal as refusal:
            self._inbox.put(("error", number, refusal.as_dict()))
        except Exception as error:  # one request that cannot be answered stops no other
            self._inbox.put(("error", number, _failure(error)))

    def _start(self, job: Mapping[str, Any], writing: Writing | None) -> None:
        """Hand the texts of a request to the engine, if there is room in the queue."""
        number = job["id"]
        self._preparing.discard(number)
        if number in self._cancelled or writing is None:
            self._cancelled.discard(number)
            return
        waiting = sum(text.waits for asked in self._asked.values() for text in asked.texts)
        if waiting and waiting + writing.prompt_tokens > self._limits.max_prefill_tokens:
            seconds = waiting / self._speed if self._speed else 1.0
            message = f"{waiting} tokens of prompts wait to be read already"
            refusal = Refusal(503, message, code="overloaded", retry_after=seconds)
            self._event(number, "error", refusal.as_dict())
            return
        asked = self._asked[number] = Asked(job)
        self._event(number, "begun", {"prompt_tokens": writing.prompt_tokens, "left_out": writing.left_out})
        for place in range(len(writing.prompts)):
            for sample in range(writing.n):
                asked.texts.append(self._text(number, writing, place, sample))
        for text in asked.texts:
            self._echo(text)
        self._finished(number)

    def _text(self, number: int, writing: Writing, place: int, sample: int) -> Text:
        served, prompt = writing.served, writing.prompts[place]
        handle = None
        if writing.max_tokens:
            assert served.engine is not None
            handle = served.engine.submit(
                prompt.tokens,
                writing.strategy,
                writing.ending,
                seed=writing.config.seed,
                row=sample,
                telling=Telling(writing.config.logprobs, max(0, writing.top)),
                salt=writing.who,
            )
        passage = Passage(served.opened.tokenizer, self._gate.guard, writing.top >= 0)
        waits = len(prompt.tokens) if handle and not sample else 0
        return Text(number, place * writing.n + sample, writing, passage, handle, waits)

    def _echo(self, text: Text) -> None:
        writing = text.writing
        if writing.echo:
            place = text.index // writing.n
            for told in writing.likelihoods[place] if writing.likelihoods else ():
                text.passage.tell(told.token, told.logprob, told.alternatives)
            self._pass(text, text.passage.push(writing.prompts[place].text))
        if text.passage.blocked:
            self._close(text, BLOCKED)
        elif text.handle is None:
            self._close(text, "length")

    def _step(self) -> None:
        """Let every engine that has texts write one token of each."""
        engines = {id(text.writing.served.engine): text.writing.served.engine for text in self._running()}
        for engine in engines.values():
            assert engine is not None
            before, began = engine.usage.tokens_read, time.perf_counter()
            try:
                engine.step()
            except Exception as error:  # memory, or a fault of ours: all who wait for this engine are told
                _logger.exception("a step failed")
                for text in [text for text in self._running() if text.writing.served.engine is engine]:
                    self._fail(text.number, _failure(error))
                continue
            speed = (engine.usage.tokens_read - before) / max(time.perf_counter() - began, 1e-6)
            self._speed = speed if not self._speed else 0.9 * self._speed + 0.1 * speed
        self._collect()

    def _running(self) -> list[Text]:
        return [text for asked in self._asked.values() for text in asked.texts if not text.over and text.handle]

    def _collect(self) -> None:
        """Pass on what was written: piece by piece where tokens are told of, and of all other texts in one."""
        running = self._running()
        drained: list[tuple[Text, str, int, str]] = []
        for text in running:
            assert text.handle is not None
            if text.writing.top >= 0:
                self._pieces(text, text.handle)
            elif any(found := text.handle.drain()):
                drained.append((text, *found))
        if self._gate.guard is not None:
            coming = [text.passage.coming(words, bool(finish)) for text, words, _, finish in drained]
            self._gate.guard.ahead([window for window in coming if window])
        for text, words, count, finish in drained:
            self._written(text, words, count, finish)
        for text in running:
            if text.handle and text.handle.error and not text.over:
                self._fail(text.number, _failure(text.handle.error))

    def _pieces(self, text: Text, handle: Handle) -> None:
        while not text.over and handle.pieces:
            piece = handle.next()
            assert piece is not None
            self._piece(text, piece)

    def _piece(self, text: Text, piece: Piece) -> None:
        is_told = piece.finish_reason != "end" and piece.token not in text.writing.ending.stop_tokens
        if is_told:
            alternatives = tuple((one.token, one.logprob) for one in piece.alternatives)
            text.passage.tell(piece.token, piece.logprob, alternatives)
        self._written(text, piece.text, int(piece.finish_reason != "end"), piece.finish_reason)

    def _written(self, text: Text, words: str, count: int, finish: str) -> None:
        """Let go what may leave of so many more tokens."""
        text.waits, text.written = 0, text.written + count
        self._pass(text, text.passage.push(words))
        if text.passage.blocked:
            self._close(text, BLOCKED)
        elif finish:
            self._close(text, _FINISH[finish])

    def _pass(self, text: Text, left: tuple[str, list[Mark]], finish: str = "") -> None:
        words, marks = left
        if words or marks or finish:
            tokenizer, last = text.writing.served.opened.tokenizer, self._out[-1] if self._out else None
            told = [mark.told(tokenizer.token_bytes) for mark in marks]
            if last and last[0] == text.number and last[1] == "piece" and last[2][0] == text.index:
                words, told = last[2][1] + words, last[2][2] + told
                self._out.pop()
            self._event(text.number, "piece", [text.index, words, told, finish, text.written])

    def _close(self, text: Text, finish: str) -> None:
        """Let the rest of a text go, with the reason why there is no more."""
        text.over, text.waits = True, 0
        left = text.passage.close()
        if text.passage.blocked:
            left, finish = ("", []), BLOCKED
        self._pass(text, left, finish)
        if text.handle is not None:
            text.handle.cancel()
        self._note(text, self._asked[text.number].job)
        self._finished(text.number)

    def _finished(self, number: int) -> None:
        asked = self._asked.get(number)
        if asked and all(text.over for text in asked.texts):
            self._event(number, "over", None)
            del self._asked[number]

    def _fail(self, number: int, values: Mapping[str, Any]) -> None:
        if number in self._asked:
            self._event(number, "error", dict(values))
            self._forget(number)

    def _forget(self, number: int) -> None:
        """Cancel what is left of a request."""
        asked = self._asked.pop(number, None)
        for text in asked.texts if asked else ():
            if not text.over and asked:
                self._note(text, asked.job)
            text.over = True
            if text.handle is not None:
                text.handle.cancel()

    def _note(self, text: Text, job: Mapping[str, Any]) -> None:
        """Log what was decided of a text, as far as it came."""
        if found := text.passage.verdict():
            facts = {"request": job["request"], "who": job["who"], "route": job["route"], "index": text.index}
            self._gate.log(*found, facts)

    def _event(self, number: int, kind: str, value: Any) -> None:
        if kind in ("result", "error"):
            self._preparing.discard(number)
            self._cancelled.discard(number)
        self._out.append([number, kind, value])

    def _flush(self) -> None:
        if self._out:
            self._tell({"events": self._out})
            self._out = []

    def _tell(self, value: Any) -> None:
        try:
            self._sink.write(frames.packed(value))
            self._sink.flush()
        except OSError:
            self._inbox.put(("gone", None, None))  # the other process has died

    def _usage(self) -> dict[str, Any]:
        found = {}
        for name, served in self._models.items():
            if served.engine is not None:
                usage = served.engine.usage
                found[name] = {part: getattr(usage, part) for part in usage.__dataclass_fields__}
        return found


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, ConfigError):  # settings that leave no token, say: the request is at fault
        return Refusal(400, in_words(error), code="invalid_value").as_dict()
    _logger.error("a request failed", exc_info=error)
    first = next(iter(str(error).splitlines()), "")
    return Refusal(500, f"{type(error).__name__}: {first}", code="engine_error").as_dict()
