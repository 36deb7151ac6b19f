"""Write many texts at once: requests come and go, and every step serves what is there (continuous batching).

```python
engine = Engine(model, tokenizer)
one = engine.submit(framed(model, tokenizer, "Once"), strategy, Ending(max_tokens=20))
for piece in one:
    print(piece.text, end="")
```
A text depends on its own request, and on no other beyond the rounding of wider matrix products; with `fixed_batch` not
even on that. Whoever waits for a text moves all of them on: any number of threads may read texts of one engine.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import repeat
from threading import RLock
from typing import Literal

import torch
from torch import Tensor

from textus.decoding.engine.blocks import Blocks
from textus.decoding.engine.board import MOST_LINES, knobs
from textus.decoding.engine.burst import Burst, Entry, guessed
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.memory import PagedMemory
from textus.decoding.engine.request import Request
from textus.decoding.engine.runner import Runner
from textus.decoding.engine.sampling import Voice, draw_together, groups
from textus.decoding.engine.scheduler import Scheduler
from textus.decoding.engine.swift import MOST_NARROW, Swift
from textus.decoding.piece import Alternative, FinishReason, Piece
from textus.decoding.step import Choices, Drawn, Telling
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Ending, Writer
from textus.errors import ConfigError
from textus.model.precision import compute_dtype
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

RESTING = 8
"""For so many bursts nothing is guessed in a text whose guesses were wrong."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """Count what an engine has done and holds."""

    waiting: int
    """Texts that have no blocks."""
    running: int
    """Texts that have."""
    blocks_in_use: int
    blocks: int
    tokens_read: int
    """Tokens that went through the model."""
    tokens_shared: int
    """Tokens that did not have to, since another text began with them."""
    tokens_written: int


class Engine:
    """Hold one model, its cache, and the texts under way."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        config: EngineConfig = EngineConfig(),  # noqa: B008 - a frozen value
        way: Literal["auto", "cpu", "gpu"] = "auto",
    ) -> None:
        """Reserve the cache; `way` is that of the model's device, and both work on a CPU.

        On a GPU texts that write are read in tensors of few sizes (`Rows`), and a token is fetched while the device
        computes the next. On a CPU each text's keys are used where they lie. Raises `ConfigError` for a model of which
        some layers see only what is near.
        """
        if model.config.hides_what_is_far:
            raise ConfigError(
                f"layers of this {model.traits.name} model see {model.config.window} positions of "
                f"{model.config.context_length}, and texts that are written together are seen whole",
                hint="write one text at a time, or take the model over with max_position_embeddings in its config.json "
                f"set to {model.config.window}",
            )
        self.config = config
        self.model = model
        self.tokenizer = tokenizer
        weight = model.embedding.weight
        context, size = model.config.context_length, config.block_size
        count = -(-max(config.cache_tokens, context) // size)
        memory = PagedMemory(model.config, count, size, weight.device, compute_dtype(weight))
        self._late = weight.device.type != "cpu" if way == "auto" else way == "gpu"
        """Whether a token is fetched only when the next is under way."""
        self._blocks = Blocks(count, size)
        self._runner = Runner(model, memory, tokenizer.vocab_size, fixed=config.fixed_batch, by_rows=self._late)
        self._scheduler = Scheduler(
            self._blocks,
            context=context,
            texts=config.batch_size,
            chunk=config.chunk("gpu" if self._late else "cpu"),
            fixed=config.fixed_batch,
        )
        self._lock = RLock()
        self._handles: dict[int, Handle] = {}
        self._count = 0
        self._drawn: _Drawn | Burst | None = None
        """The last draw, as long as the host does not know it."""
        self._before: _Drawn | Burst | None = None
        """The one before, of which all or some may be known."""
        self._read = self._shared = self._written = 0

    def submit(
        self,
        tokens: Sequence[int],
        strategy: Strategy,
        ending: Ending,
        *,
        seed: int = 0,
        row: int = 0,
        telling: Telling | None = None,
        salt: str = "",
        guesses: int = 0,
    ) -> Handle:
        """Put a text in the queue; `tokens` are a prompt as `framed` returns it.

        Only texts of one `salt` share what they begin with, so that nobody learns from the time it takes what others
        have said. `guesses`: so many tokens are looked up in the text and checked in one pass, where a GPU draws;
        what is written is the same.
        """
        assert 0 < len(tokens) <= self.model.config.context_length, f"a prompt of {len(tokens)} tokens was not framed"
        with self._lock:
            self._count += 1
            request = Request(self._count, list(tokens), ending.max_tokens, hashlib.sha256(salt.encode()).digest())
            voice = Voice(request, strategy, telling or Telling(), seed, row)
            if self._runner.swift:
                voice.knobs = knobs(strategy, voice.telling, seed, row)
                voice.each = min(MOST_LINES, 1 << guesses.bit_length())
            handle = Handle(self, voice, Writer(self.tokenizer, ending, row))
            self._handles[request.number] = handle
            self._scheduler.add(request)
            return handle

    def looks_up(self, strategy: Strategy, telling: Telling) -> bool:
        """Tell whether tokens are guessed and checked on the device for texts that are written so."""
        return self._runner.swift is not None and knobs(strategy, telling, 0, 0) is not None

    def step(self) -> bool:
        """Read one pass and draw what follows; return whether there is more to do."""
        with self._lock:
            try:
                with torch.inference_mode():
                    self._step()
            except BaseException:
                # what was drawn stands; but nobody knows which blocks were written, so all is read again
                self._settle()
                self._scheduler.interrupt()
                raise
            return bool(self._handles)

    def cancel(self, handle: Handle) -> None:
        """Forget a text; its blocks are free at once."""
        with self._lock:
            self._end(handle)

    @property
    def usage(self) -> Usage:
        """What the engine holds now, and what it has done."""
        with self._lock:
            return Usage(
                len(self._scheduler.waiting),
                len(self._scheduler.running),
                self._blocks.in_use,
                self._blocks.count,
                self._read,
                self._scheduler.shared,
                self._written,
            )

    def _step(self) -> None:
        if (swift := self._runner.swift) and (self._guess(swift) or self._burst(swift)):
            return
        if isinstance(self._drawn, Burst):
            self._settle()  # a plan is made for texts of which at most one token is unknown
        planned = self._scheduler.plan()
        assert planned or self._drawn or not self._handles, "a text waits for something that does not come"
        drawn = None
        if planned:
            self._read += sum(part.size for part in planned)
            newest, sources = (self._drawn.tokens, self._drawn.sources) if self._drawn else (None, {})
            logits = self._runner.logits(planned, newest, sources)
            self._scheduler.settle(planned)
            voices = [self._handles[part.request.number].voice for part in planned if part.wants]
            drawn = self._draw(voices, logits, newest, sources) if voices else None
        self._before, self._drawn = self._drawn, drawn
        if self._late:
            self._take(self._before)
        else:
            self._settle()

    def _burst(self, swift: Swift) -> bool:
        """Let the device write several tokens of every text, and take what it wrote before; say whether it could."""
        requests, steps = self._scheduler.ahead(self.config.burst)
        voices = [self._handles[request.number].voice for request in requests]
        if not voices or any(voice.knobs is None or voice.turn for voice in voices):
            return False
        newest, sources = (self._drawn.tokens, self._drawn.sources) if self._drawn else (None, {})
        burst = Burst.begin(swift, voices, steps, newest, sources)
        for voice in voices:
            voice.rest = max(0, voice.rest - 1)
        self._read += sum(burst.counts)
        self._before, self._drawn = self._drawn, burst
        self._take(self._before)
        return True

    def _guess(self, swift: Swift) -> bool:
        """Let the device write and check guesses, if all texts under way are written so; say whether it could."""
        if not self._guessing():
            return False
        self._settle()
        voices = self._guessing()
        steps = self.config.burst
        if not voices or any(
            # behind its last token a text has guesses that may all be wrong
            voice.request.length + (steps + 1) * voice.each > self.model.config.context_length
            for voice in voices
        ):
            return False
        requests, most = self._scheduler.ahead(steps * voices[0].each)
        if not requests:
            return False
        rooms = [min(most, request.max_tokens - request.written) for request in requests]
        steps = min(steps, max(rooms))
        entries = guessed(swift, voices, rooms, steps)
        for voice, _, names, _ in entries:
            # a step with guesses takes as long as about two without
            voice.rest = RESTING if len(names) < min(2 * steps, voice.request.max_tokens - voice.request.written) else 0
            voice.request.read += len(names)
            voice.request.unknown += len(names)
            self._read += len(names)
        self._take_entries(entries)
        return True

    def _guessing(self) -> list[Voice]:
        """Return the texts that write, if all have the same number of lines, not too many, and guesses are worth it."""
        voices = [self._handles[request.number].voice for request in self._scheduler.running if request.unread]
        if any(voice.rest for voice in voices):
            return []
        each = max((voice.each for voice in voices), default=1)
        fits = each > 1 and len(voices) * each <= MOST_NARROW
        if not fits or any(voice.knobs is None or voice.turn or voice.each != each for voice in voices):
            return []
        return voices

    def _take_entries(self, entries: deque[Entry]) -> None:
        while entries:
            voice, turn, names, logprobs = entries.popleft()
            handle, request = self._handles.get(voice.request.number), voice.request
            if handle is None or voice.turn != turn:
                continue
            request.unknown -= len(names)
            sound = next((place for place, name in enumerate(names) if name < 0), len(names))
            taken = handle.take(names[:sound], logprobs)
            request.tokens += names[:taken]
            self._written += taken
            self._scheduler.name(request)
            if handle.is_over:
                self._end(handle)
            elif sound < len(names):
                self._redraw(voice)

    def _redraw(self, voice: Voice) -> None:
        """Let a token be drawn in the general way: the kernel found none, or too many tie for the last place."""
        voice.turn += 1
        voice.request.unknown = 0
        self._scheduler.again(voice.request)

    def _settle(self) -> None:
        """Take all that was drawn."""
        self._take(self._before)
        last, self._drawn = self._drawn, None
        self._take(last)

    def _draw(self, voices: list[Voice], logits: Tensor, newest: Tensor | None, sources: dict[int, int]) -> _Drawn:
        """Draw the next token of every text; a text whose steps fail ends with their error, and no other does."""
        parts: list[tuple[list[Voice], Drawn]] = []
        for places in groups(voices):
            chosen = [voices[place] for place in places]
            rows = logits if len(places) == len(voices) else logits[places]
            try:
                parts.append((chosen, draw_together(chosen, rows, newest, sources)))
            except Exception as error:  # whose it is decides who reads the text
                for voice in chosen:
                    self._fail(self._handles[voice.request.number], error)
        for chosen, _ in parts:
            for voice in chosen:
                voice.request.unknown += 1
        return _Drawn(parts)

    def _take(self, drawn: _Drawn | Burst | None) -> None:
        """Wait for tokens, and hand them to their texts."""
        if isinstance(drawn, Burst):
            self._take_entries(drawn.told())
            return
        entries = drawn.told() if drawn else deque[_Entry]()
        while entries:
            voice, choices, place = entries.popleft()
            handle = self._handles.get(voice.request.number)
            if handle is None:
                continue  # it was cancelled, or had ended one token before
            try:
                token, logprob, alternatives = choices.at(place)
            except Exception as error:  # one text that cannot go on stops no other
                self._fail(handle, error)
                continue
            voice.request.unknown -= 1  # of those that are drawn behind it already, if any, nothing is known yet
            voice.request.tokens.append(token)
            self._written += 1
            handle.take((token,), (logprob,), alternatives)
            if handle.is_over:
                self._end(handle)

    def _fail(self, handle: Handle, error: Exception) -> None:
        handle.error = error
        self._end(handle)

    def _end(self, handle: Handle) -> None:
        if self._handles.pop(handle.voice.request.number, None):
            self._scheduler.drop(handle.voice.request)
        handle.is_over = True


class Handle:
    """A text under way. Its pieces come as they are written; whoever asks for the next moves the engine on."""

    def __init__(self, engine: Engine, voice: Voice, writer: Writer) -> None:
        self._engine = engine
        self.voice = voice
        self.writer = writer
        self._made = deque[Piece]()
        self._bare = deque[_Bare]()
        """What no text was made of yet: where no string ends the text, it is made when it is asked for."""
        self._stops = writer.stops
        self._left = writer.most
        self.error: Exception | None = None
        """Why it cannot go on, if so."""
        self.is_over = False
        """Whether nothing more will be written."""

    def __iter__(self) -> Iterator[Piece]:
        """Yield each piece as it is written; leaving early cancels the text."""
        try:
            while (piece := self.next()) is not None:
                yield piece
        finally:
            self.cancel()

    @property
    def pieces(self) -> deque[Piece]:
        """What was written and not asked for yet."""
        while self._bare:
            self._made.append(self.writer.write(*self._bare.popleft()))
        return self._made

    def drain(self) -> tuple[str, int, FinishReason | Literal[""]]:
        """Return what was written and not asked for yet in one: text, tokens without a closing END, and why it ended.

        Where many texts are passed on as they are, this takes a fraction of the time that a piece for each token does.
        """
        text, count = "", 0
        reason: FinishReason | Literal[""] = ""
        while self._made:
            piece = self._made.popleft()
            text, count, reason = text + piece.text, count + 1, piece.finish_reason
        if tokens := [self._bare.popleft()[0] for _ in range(len(self._bare))]:
            more, reason = self.writer.extend(tokens)
            text, count = text + more, count + len(tokens)
        return text, count - (reason == "end"), reason

    def next(self) -> Piece | None:
        """Wait for the next piece; there is none after the last. Raises what stopped the text."""
        while not self.pieces and not self.is_over:
            self._engine.step()
        if self.pieces:
            return self._made.popleft()
        if self.error:
            raise self.error
        return None

    def take(self, tokens: Sequence[int], logprobs: Sequence[float], alternatives: tuple[Alternative, ...] = ()) -> int:
        """Take the next tokens, up to the last of the text, and return how many those are."""
        if self._stops is None:
            for count, (token, logprob) in enumerate(zip(tokens, logprobs, strict=False), 1):
                piece = self.writer.write(token, logprob, alternatives)
                self._made.append(piece)
                if piece.finish_reason:
                    self.is_over = True
                    return count
            return len(tokens)
        is_last = not self._stops.isdisjoint(tokens)
        if is_last:
            tokens = tokens[: 1 + next(place for place, token in enumerate(tokens) if token in self._stops)]
        self._left -= len(tokens)
        self._bare.extend(zip(tokens, logprobs, repeat(alternatives), strict=False))
        # only now: whoever reads in another thread takes it for the end
        self.is_over = is_last or not self._left
        return len(tokens)

    def cancel(self) -> None:
        """Write no more."""
        self._engine.cancel(self)


_Entry = tuple[Voice, Choices, int]
_Bare = tuple[int, float, tuple[Alternative, ...]]
"""A token, its log-probability and its alternatives."""


class _Drawn:
    """The tokens of one pass."""

    def __init__(self, parts: list[tuple[list[Voice], Drawn]]) -> None:
        self._parts = [(voices, part.fetched()) for voices, part in parts]
        drawn = [part.tokens for _, part in parts]
        # no token is none to the model either: what it says about it is never used
        self.tokens = torch.cat(drawn).clamp(min=0) if drawn else torch.empty(0, dtype=torch.int64)
        voices = (voice for voices, _ in parts for voice in voices)
        self.sources = {voice.request.number: place for place, voice in enumerate(voices)}
        self._entries: deque[_Entry] | None = None

    def told(self) -> deque[_Entry]:
        """Return the texts whose token was not taken yet, with the place of each in what was told."""
        if self._entries is None:
            told = [(voices, part.told()) for voices, part in self._parts]
            self._entries = deque(
                (voice, choices, place) for voices, choices in told for place, voice in enumerate(voices)
            )
        return self._entries
