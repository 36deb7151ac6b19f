"""Several steps of writing at once, and what they drew, on its way to the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from textus.decoding.engine.board import FIRST, LEAST, ROOM, TABLE, TOKEN, TOP
from textus.decoding.engine.sampling import Voice
from textus.decoding.engine.swift import Swift

Entry = tuple[Voice, int, list[int], list[float]]
"""A text, its turn when the burst began, and its tokens with their log-probabilities."""


class Burst:
    """Tokens that are being written; nothing has waited for them yet."""

    def __init__(self, voices: Sequence[Voice], counts: Sequence[int], tokens: Tensor, ring: Tensor) -> None:
        self._voices = [(voice, voice.turn) for voice in voices]
        self.counts = counts
        """How many of the tokens of each text count."""
        self.tokens = tokens
        """The last token of each, on the device."""
        self.sources = {voice.request.number: row for row, voice in enumerate(voices)}
        self._ring = ring
        self._entries: deque[Entry] | None = None
        self._event: torch.cuda.Event | None = None
        if tokens.is_cuda:
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    @classmethod
    def begin(
        cls,
        swift: Swift,
        voices: Sequence[Voice],
        steps: int,
        newest: Int[Tensor, " drawn"] | None,
        sources: dict[int, int],
    ) -> Burst:
        """Start steps for texts that have one token unread each, and blocks for what they write."""
        stage = swift.stage(len(voices))
        lines = stage.lines()
        counts = []
        for row, voice in enumerate(voices):
            request, line = voice.request, lines[row]
            source = sources[request.number] if request.unknown else -1
            token = 0 if request.unknown else request.tokens[-1]
            line[:TOP] = token, request.length - 1, request.written, 0, row, source
            line[TOP : LEAST + 1] = voice.knobs
            line[TABLE : TABLE + len(request.table)] = request.table
            counts.append(min(steps, request.max_tokens - request.written))
            request.read += counts[-1]
            request.unknown += counts[-1]
        stage.begin(lines, newest)
        stage.run(steps)
        found = stage.ring[:steps, : len(voices)]
        ring = torch.empty(found.shape, dtype=found.dtype, pin_memory=found.is_cuda)
        ring.copy_(found, non_blocking=True)
        return cls(voices, counts, stage.board[: len(voices), TOKEN].clone(), ring)

    def told(self) -> deque[Entry]:
        """Wait for the device; return what was not taken yet: whoever takes an entry takes it out."""
        if self._entries is None:
            if self._event:
                self._event.synchronize()
            ring = self._ring.numpy()
            tokens, logprobs = ring[..., 0].T.tolist(), np.ascontiguousarray(ring[..., 1].T).view(np.float32).tolist()
            rows = zip(self._voices, self.counts, tokens, logprobs, strict=True)
            self._entries = deque(
                (voice, turn, names[:count], values[:count]) for (voice, turn), count, names, values in rows
            )
        return self._entries


def guessed(swift: Swift, voices: Sequence[Voice], rooms: Sequence[int], steps: int) -> deque[Entry]:
    """Let the device guess and check for so many steps, wait for it, and return what it wrote, up to each text's room.

    All texts have the same number of lines and one token unread, which the host knows.
    """
    each = voices[0].each
    stage = swift.stage(len(voices), each)
    lines = stage.lines()
    said = np.zeros((len(voices), max(voice.request.length for voice in voices)), dtype=np.int32)
    for place, (voice, room) in enumerate(zip(voices, rooms, strict=True)):
        request, own = voice.request, lines[place * each : (place + 1) * each]
        own[:, :FIRST] = request.tokens[-1], request.length - 1, request.written, 0
        assert voice.knobs is not None, "who asks for more than the device knows is not guessed for"
        own[:, TOP : LEAST + 1] = voice.knobs
        own[:, ROOM] = room
        own[:, TABLE : TABLE + len(request.table)] = request.table
        said[place, : request.length] = request.tokens[request.begin :]
    stage.begin_to_guess(lines, said)
    stage.run(steps)
    ring, counts = stage.ring[:steps].cpu().numpy(), stage.counts[:steps].cpu().numpy()
    entries = deque[Entry]()
    for place, voice in enumerate(voices):
        parts = [ring[step, place * each :][: counts[step, place]] for step in range(steps)]
        found = np.concatenate(parts)
        entries.append((voice, voice.turn, found[:, 0].tolist(), found[:, 1].copy().view(np.float32).tolist()))
    return entries
