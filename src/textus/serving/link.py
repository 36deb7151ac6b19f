"""The HTTP process's side of the engine: start it, ask it, and start it again when it has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from textus.errors import ResourceError, TextusError
from textus.serving import frames
from textus.serving.refusal import Refusal

State = Literal["starting", "ready", "down", "stopped"]
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_GONE: list[Any] = [
    "error",
    Refusal(503, "the engine has stopped; it is being started again", code="engine_down").as_dict(),
]
_logger = logging.getLogger(__name__)


class Link:
    """Ask the engine's process; whoever asks gets events, and an error where the process dies."""

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any]) -> None:
        """Remember how it is started; `setup` is the first frame that it is sent."""
        self._command, self._setup = list(command), dict(setup)
        self._process: asyncio.subprocess.Process | None = None
        self._asked: dict[int, asyncio.Queue[list[Any]]] = {}
        self._count = 0
        self.state: State = "starting"
        self.models: dict[str, dict[str, Any]] = {}
        """What each model can do, once the engine has said so."""
        self.starts = 0
        """How often the engine became ready."""
        self.changed = asyncio.Condition()
        """Notified when the state changes."""
        self._refused: TextusError | None = None

    @property
    def pid(self) -> int:
        """The number of the engine's process."""
        return self._process.pid if self._process else 0

    async def run(self) -> None:
        """Keep the engine alive until cancelled; raise what it says where it cannot start for the first time."""
        pause = _FIRST_PAUSE
        try:
            while True:
                before = self.starts
                await self._live()
                if not self.starts:
                    raise self._refused or ResourceError(
                        "the engine's process ended before it was ready", hint="what it says stands above"
                    )
                pause = _FIRST_PAUSE if self.starts > before else min(2 * pause, _LONGEST_PAUSE)
                _logger.error("the engine has stopped; it is started again in %.1f s", pause)
                await asyncio.sleep(pause)
        finally:
            await self._set("stopped")
            await self._kill()

    async def ready(self) -> None:
        """Wait until the engine is ready, or has stopped for good."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.state in ("ready", "stopped"))

    def check(self) -> None:
        """Raise 503 while there is nobody to ask."""
        if self.state != "ready":
            words = "is being started" if self.state == "starting" else "has stopped; it is being started again"
            raise Refusal(503, f"the engine {words}", code="engine_down", retry_after=2)

    async def events(self, job: Mapping[str, Any]) -> AsyncGenerator[list[Any], None]:
        """Send a request and yield what comes: kind and value; leaving early cancels it."""
        self.check()
        self._count += 1
        number, events = self._count, asyncio.Queue[list[Any]]()
        self._asked[number] = events
        over = False
        try:
            await self._send({**job, "id": number})
            while not over:
                waiting = [await events.get()]
                while not events.empty():
                    waiting.append(events.get_nowait())
                for kind, value in joined(waiting):
                    over = kind in ("over", "result", "error")
                    yield [kind, value]
        finally:
            del self._asked[number]
            if not over and self.state == "ready":
                self._write({"id": number, "op": "cancel"})

    async def answer(self, job: Mapping[str, Any]) -> Any:
        """Send a request that has one answer, and wait for it."""
        async with contextlib.aclosing(self.events(job)) as events:
            kind, value = await anext(events)
        if kind == "error":
            raise Refusal.of(value)
        return value

    async def _live(self) -> None:
        """Start the engine and listen until it dies."""
        await self._set("starting")
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: what is under way is finished first
        )
        reader = self._process.stdout
        assert reader is not None
        try:
            await self._send(self._setup)
            while True:
                await self._take(await frames.receive(reader))
        except (EOFError, OSError):
            pass
        finally:
            await self._set("down")
            for events in self._asked.values():
                events.put_nowait(list(_GONE))
            await self._kill()

    async def _take(self, frame: Mapping[str, Any]) -> None:
        if "ready" in frame:
            self.models = {model["name"]: model for model in frame["ready"]}
            self.starts += 1
            await self._set("ready")
        elif "refused" in frame:
            self._refused = ResourceError(frame["refused"]["message"], hint=frame["refused"]["hint"])
        for number, kind, value in frame.get("events", ()):
            if number in self._asked:
                self._asked[number].put_nowait([kind, value])

    async def _send(self, value: Any) -> None:
        self._write(value)
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it died; whoever reads from it says so
            await self._process.stdin.drain()

    def _write(self, value: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(frames.packed(value))

    async def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _set(self, state: State) -> None:
        async with self.changed:
            self.state = state
            self.changed.notify_all()


def joined(waiting: Sequence[list[Any]]) -> list[list[Any]]:
    """Join the pieces of each text that have come while nobody read: who is slow, or late, gets fewer and longer ones.

    >>> joined([["piece", [0, "a", [], "", 1]], ["piece", [1, "x", [], "", 1]], ["piece", [0, "b", [], "stop", 2]]])
    [['piece', [0, 'ab', [], 'stop', 2]], ['piece', [1, 'x', [], '', 1]]]
    """
    if len(waiting) == 1:
        return list(waiting)
    found: list[list[Any]] = []
    last: dict[int, list[Any]] = {}
    for kind, value in waiting:
        if kind == "piece" and (piece := last.get(value[0])):
            piece[1:] = piece[1] + value[1], piece[2] + value[2], value[3] or piece[3], value[4]
            continue
        found.append([kind, value])
        if kind == "piece":
            last[value[0]] = value
    return found
