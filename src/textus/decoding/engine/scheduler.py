"""What is read next: who came first is served first, and every text that writes gets its next token in every pass.

A long prompt is read in chunks beside the texts that write, so that they do not wait for it (Agrawal et al. 2024, arXiv
2403.02310). Where blocks run out, the text that came last gives up its own and is read again later; the oldest never
does, so all come to an end.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from typing import Literal

from textus.decoding.engine.blocks import Blocks, Key
from textus.decoding.engine.request import Request, Segment


class Scheduler:
    """Decide which tokens of which texts go into the next pass."""

    def __init__(
        self, blocks: Blocks, *, context: int, texts: int, chunk: int, fixed: int | Literal["off"] = "off"
    ) -> None:
        assert blocks.count * blocks.size >= context, "the cache must hold one whole context"
        self.blocks = blocks
        self._context = context
        self._texts = texts
        self._chunk = chunk
        self._fixed = fixed
        self._waiting: list[Request] = []
        self._running: list[Request] = []
        """Both in the order in which they came."""
        self._places = sorted(range(texts), reverse=True)
        self._coming: dict[Key, Request] = {}
        """Names that blocks will have once somebody has read them: whoever begins alike waits for them."""
        self.shared = 0
        """How many tokens did not have to be read, since another text began with them."""

    @property
    def running(self) -> tuple[Request, ...]:
        """The texts that hold blocks."""
        return tuple(self._running)

    @property
    def waiting(self) -> tuple[Request, ...]:
        """The texts that do not."""
        return tuple(self._waiting)

    def add(self, request: Request) -> None:
        """Put a text in the queue."""
        insort(self._waiting, request, key=_order)

    def drop(self, request: Request) -> None:
        """Forget a text and free its blocks."""
        if request in self._waiting:
            self._waiting.remove(request)
        elif request in self._running:
            self._stop(request)

    def interrupt(self) -> None:
        """Take the blocks of all texts back, since it is not known what is in them."""
        for request in self.running:
            self._preempt(request)

    def plan(self) -> list[Segment]:
        """Return what the next pass reads, blocks for it reserved; `settle` says that it was read."""
        planned: list[Segment] = []
        budget = self._chunk
        for request in self.running:
            if request.place < 0 or not request.unread:
                continue  # preempted meanwhile, or waiting for its last token
            self._slide(request)
            count = 1 if request.unread == 1 else self._portion(request, budget)
            if count and self._reserve(request, request.read + count):
                budget -= count if request.unread > 1 else 0
                planned += self._read(request, count)
        for request in self.waiting:
            if not budget or len(self._running) == self._texts:
                break
            self._slide(request)
            if self._is_coming(request):
                continue
            if not self._admit(request):
                break
            if count := self._portion(request, budget):
                budget -= count
                planned += self._read(request, count)
        return planned

    def ahead(self, most: int) -> tuple[list[Request], int]:
        """Return the texts that write and for how many tokens all of them can, blocks reserved; none where one must wait.

        Nobody may be about to come in, be read, or slide: `plan` decides then.
        """
        going = [request for request in self._running if request.unread]
        is_full = len(self._running) == self._texts
        if not going or (self._waiting and not is_full) or any(request.unread != 1 for request in going):
            return [], 0
        room = self._context + 1 - max(request.length for request in going)
        count = min(most, room, max(request.max_tokens - request.written for request in going))
        if count < 1:
            return [], 0
        size = self.blocks.size
        lengths = [request.read + min(count, request.max_tokens - request.written) for request in going]
        if (
            sum(max(0, -(-end // size) - len(one.table)) for one, end in zip(going, lengths, strict=True))
            > self.blocks.free
        ):
            return [], 0
        for request, end in zip(going, lengths, strict=True):
            if end > len(request.table) * size:
                self._reserve(request, end)
        return going, count

    def name(self, request: Request) -> None:
        """Name the blocks of a text that were filled and whose tokens are known by now."""
        known = min(request.read, len(request.tokens) - request.begin)
        for place, name in enumerate(request.keys(known // self.blocks.size, self.blocks.size)):
            if place >= request.named:
                self.blocks.name(request.table[place], name)
        request.named = max(request.named, known // self.blocks.size)

    def settle(self, planned: list[Segment]) -> None:
        """Name the blocks that were filled, so that others find them."""
        for request in dict.fromkeys(segment.request for segment in planned):
            whole = self._nameable(request, min(request.read, len(request.tokens) - request.begin))
            for place, name in enumerate(request.keys(whole, self.blocks.size)[request.named :], request.named):
                self.blocks.name(request.table[place], name)
                self._coming.pop(name, None)
            request.named = max(request.named, whole)

    def _slide(self, request: Request) -> None:
        """Let the last half of a context that is full be all that is in sight, to be read again from its start."""
        if request.length > self._context:
            self._release(request)
            request.start_again(request.begin + request.length - max(1, self._context // 2))

    def _portion(self, request: Request, budget: int) -> int:
        """Return how many of its unread tokens a text reads in this pass."""
        count = min(request.unread, budget)
        if self._fixed == "off" or count == request.unread or request.read + count >= request.given:
            return count
        return count - (request.read + count) % self._fixed

    def _read(self, request: Request, count: int) -> Iterator[Segment]:
        start, stop, wants = request.read, request.read + count, count == request.unread
        request.read = stop
        if self._fixed == "off":
            yield Segment(request, start, stop, wants)
            return
        while start < stop:
            # the same pieces however the text came here: what was given in whole ones, what was written one by one
            end = min((start // self._fixed + 1) * self._fixed, request.given) if start < request.given else start + 1
            yield Segment(request, start, end, wants and end == stop)
            start = end

    def _admit(self, request: Request) -> bool:
        """Let a waiting text in if there are blocks for all that it has, and for those that need one for a token."""
        keys = self._sharable(request)
        shared = self.blocks.share(keys)
        needed = -(-request.length // self.blocks.size) - len(shared)
        soon = sum(one.length >= len(one.table) * self.blocks.size for one in self._running)
        if needed + soon > self.blocks.free and self._running:
            for block in shared:
                self.blocks.release(block)
            return False
        self.shared += len(shared) * self.blocks.size
        self._waiting.remove(request)
        insort(self._running, request, key=_order)
        request.place = self._places.pop()
        request.table, request.read, request.named = shared, len(shared) * self.blocks.size, len(shared)
        request.is_run = not shared or shared == list(range(shared[0], shared[0] + len(shared)))
        for name in keys[len(shared) :]:
            self._coming.setdefault(name, request)
        self._reserve(request, request.length)
        return True

    def _is_coming(self, request: Request) -> bool:
        """Tell whether somebody else is reading what this text begins with."""
        missing = next((name for name in self._sharable(request) if not self.blocks.is_known(name)), b"")
        return self._coming.get(missing, request) is not request

    def _sharable(self, request: Request) -> Sequence[Key]:
        """Return the names of the blocks that a text may share; its last token is always read, for what follows it."""
        return request.keys(self._nameable(request, request.length - 1), self.blocks.size)

    def _nameable(self, request: Request, length: int) -> int:
        """Return how many of the blocks in the first `length` tokens may have names.

        What was written is read in other shapes than what was given, so its last bits are others.
        """
        return (length if self._fixed == "off" else min(length, request.given)) // self.blocks.size

    def _reserve(self, request: Request, length: int) -> bool:
        """Give a text the blocks for so many tokens, if need be those of texts that came after it."""
        table, stride = request.table, max(1, self.blocks.count // self._texts)
        while len(table) * self.blocks.size < length:
            while not self.blocks.free:
                if self._running[-1] is request:
                    return False
                self._preempt(self._running[-1])
            home = request.place * stride + len(table) if len(table) < stride else table[-1] + 1
            block = self.blocks.take(home)
            request.is_run = request.is_run and (not table or block == table[-1] + 1)
            table.append(block)
        return True

    def again(self, request: Request) -> None:
        """Let a text be read again, since what was drawn for it does not count."""
        if request in self._running:
            self._preempt(request)

    def _preempt(self, request: Request) -> None:
        self._stop(request)
        request.start_again(request.begin)
        self.add(request)

    def _stop(self, request: Request) -> None:
        self._running.remove(request)
        self._release(request)
        self._places.append(request.place)
        self._places.sort(reverse=True)
        request.place = -1

    def _release(self, request: Request) -> None:
        for block in reversed(request.table):  # the end of a text is least worth keeping
            self.blocks.release(block)
        request.table = []
        self._coming = {name: owner for name, owner in self._coming.items() if owner is not request}


def _order(request: Request) -> int:
    return request.number
