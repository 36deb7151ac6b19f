"""One pass of the model over what the scheduler planned, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.decoding.engine.board import FIRST, SOURCE, TABLE
from textus.decoding.engine.graph import recorded
from textus.decoding.engine.lean import Reads, leanest
from textus.decoding.engine.memory import PagedMemory, Pass, Rows
from textus.decoding.engine.request import Segment
from textus.decoding.engine.swift import Swift, drives
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating

Newest = Int[Tensor, " drawn"]
"""The tokens that the last pass drew, still on the device."""


class Runner:
    """Turn segments into logits.

    On a CPU all segments go through the model in one pass. On a GPU the texts that read one token go by themselves, in
    shapes of few sizes (`Rows`), each of which is recorded once as a graph and then replayed whole: no time goes into
    launching kernels. With `fixed`, every pass has exactly so many tokens, so that no result depends on its neighbours.
    """

    def __init__(
        self, model: Transformer, memory: PagedMemory, vocab_size: int, *, fixed: int | Literal["off"], by_rows: bool
    ) -> None:
        self._model = model
        self._memory = memory
        self._vocab_size = vocab_size
        self._fixed = fixed
        self._by_rows = by_rows
        self._reader: Reads = model
        self._is_chosen = False
        self._steps: dict[tuple[int, int], _Step] = {}
        self.swift: Swift | None = None
        if by_rows and fixed == "off" and drives(model):
            with torch.inference_mode():
                self.swift = Swift(model, memory, vocab_size)
        """What reads and draws without the host, where it can."""

    def logits(
        self, segments: Sequence[Segment], newest: Newest | None, sources: dict[int, int]
    ) -> Float[Tensor, "wanting vocab"]:
        """Read the segments and return what may follow those that want to know, in their order.

        `sources` says of the requests whose last token the host does not know, by number, where it is in `newest`.
        """
        found: dict[int, Tensor] = {}
        if not self._is_chosen:
            with evaluating(self._model):
                self._reader, self._is_chosen = leanest(self._model), True
        with evaluating(self._model) if self._model.training else nullcontext():
            for places in self._groups(segments):
                group = [segments[place] for place in places]
                read = self._read_rows if self._is_row(group[0]) else self._read
                wanted = [place for place in places if segments[place].wants]
                found.update(zip(wanted, read(group, newest, sources), strict=True))
        if not found:
            return torch.empty(0, self._vocab_size, device=self._memory.keys.device)
        return torch.stack([found[place] for place in sorted(found)])

    def _is_row(self, part: Segment) -> bool:
        """Tell whether a segment is read in rows: where the shape counts, if it was written, however it came here."""
        is_single = part.size == 1 if self._fixed == "off" else part.start >= part.request.given
        return self._by_rows and is_single

    def _groups(self, segments: Sequence[Segment]) -> Iterator[list[int]]:
        """Yield the places of the segments that go through the model together; what was given goes before the rest."""
        for kind in (False, True):
            group, size = list[int](), 0
            for place, part in enumerate(segments):
                if self._is_row(part) is not kind:
                    continue
                if self._fixed != "off" and size + part.size > self._fixed:
                    yield group
                    group, size = [], 0
                group.append(place)
                size += part.size
            if group:
                yield group

    def _read(self, segments: Sequence[Segment], newest: Newest | None, sources: dict[int, int]) -> Tensor:
        count = sum(part.size for part in segments)
        size = count if self._fixed == "off" else self._fixed
        device = self._memory.keys.device
        names = [name for part in segments for name in _names(part)] + [0] * (size - count)
        positions = [place for part in segments for place in range(part.start, part.stop)] + [0] * (size - count)
        tokens = torch.tensor(names, device=device)
        ends = _ends(segments)
        if newest is not None:
            unknown = [(end, part) for end, part in zip(ends, segments, strict=True) if _is_unknown(part)]
            places = torch.tensor([end for end, _ in unknown], dtype=torch.int64, device=device)
            rows = [sources[part.request.number] for _, part in unknown]
            tokens[places] = newest[torch.tensor(rows, dtype=torch.int64, device=device)]
        memory = Pass(self._memory, segments, size, copies=self._fixed != "off")
        states = self._reader.encode_at(tokens, torch.tensor(positions, device=device), memory)
        wanted = [end for end, part in zip(ends, segments, strict=True) if part.wants]
        if not wanted:
            return states.new_empty(0, self._vocab_size)
        chosen = torch.tensor(wanted, device=device)
        if self._fixed == "off":
            return self._head(states if len(wanted) == size else states.index_select(0, chosen))
        return self._head(states).index_select(0, chosen)

    def _read_rows(self, segments: Sequence[Segment], newest: Newest | None, sources: dict[int, int]) -> Tensor:
        if self.swift:
            return self._read_swiftly(self.swift, segments, newest, sources)
        size = self._memory.size
        rows = self._fixed if self._fixed != "off" else _bucket(len(segments))
        # keys that are masked change no sum, but how it is taken: every text is given all there may be
        longest = self._model.config.context_length if self._fixed != "off" else max(part.stop for part in segments)
        blocks = -(-longest // size) if self._fixed != "off" else _bucket(-(-longest // size))
        if (rows, blocks) not in self._steps:
            self._steps[rows, blocks] = _Step(self._reader, Rows(self._memory, rows, blocks), self._head)
        step = self._steps[rows, blocks]
        step.rows.fill([_names(part)[0] for part in segments], segments)
        if newest is not None:
            unknown = [(row, sources[part.request.number]) for row, part in enumerate(segments) if _is_unknown(part)]
            places = torch.tensor(unknown, dtype=torch.int64, device=newest.device).reshape(-1, 2)
            step.rows.tokens[places[:, 0]] = newest[places[:, 1]]
        logits = step()[: len(segments)]
        return logits if all(part.wants for part in segments) else logits[[part.wants for part in segments]]

    def _read_swiftly(
        self, swift: Swift, segments: Sequence[Segment], newest: Newest | None, sources: dict[int, int]
    ) -> Tensor:
        stage = swift.stage(len(segments))
        lines = stage.lines()
        for row, part in enumerate(segments):
            source = sources[part.request.number] if _is_unknown(part) else -1
            lines[row, :FIRST] = _names(part)[0], part.start, 0, 0
            lines[row, SOURCE] = source
            table = part.request.table[: part.start // self._memory.size + 1]
            lines[row, TABLE : TABLE + len(table)] = table
        stage.begin(lines, newest)
        stage.run()
        logits = stage.logits[: len(segments), : self._vocab_size]
        # a copy: the next step writes there
        return logits.clone() if all(part.wants for part in segments) else logits[[part.wants for part in segments]]

    def _head(self, states: Float[Tensor, "rows hidden"]) -> Float[Tensor, "rows vocab"]:
        logits: Tensor = self._model.head(states).float()
        # Imported models may have more outputs than there are tokens, to fill up a matrix.
        return logits[:, : self._vocab_size]


class _Step:
    """A pass over single tokens; on a GPU it is recorded at the first call and replayed ever after."""

    def __init__(self, model: Reads, rows: Rows, head: Callable[[Tensor], Tensor]) -> None:
        self._model, self.rows, self._head = model, rows, head
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits: Tensor | None = None

    def __call__(self) -> Float[Tensor, "rows vocab"]:
        """Return what may follow each row."""
        if not self.rows.tokens.is_cuda:
            return self._compute()
        if self._graph is None:
            self._graph, self._logits = recorded(self._compute)
        assert self._logits is not None
        self._graph.replay()
        return self._logits.clone()

    def _compute(self) -> Tensor:
        states = self._model.encode_at(self.rows.tokens, self.rows.positions, self.rows)
        return self._head(states)


def _bucket(size: int) -> int:
    """Round up to a power of two: few sizes, each recorded once.

    >>> [_bucket(size) for size in (1, 2, 3, 5, 64)]
    [1, 2, 4, 8, 64]
    """
    return 1 << (size - 1).bit_length()


def _names(part: Segment) -> list[int]:
    request = part.request
    names = request.tokens[request.begin + part.start : request.begin + part.stop]
    return names + [0] * (part.size - len(names))


def _is_unknown(part: Segment) -> bool:
    return bool(part.request.unknown) and part.stop == part.request.length


def _ends(segments: Sequence[Segment]) -> list[int]:
    """Return where in the pass the last token of each segment stands."""
    ends, end = [], -1
    for part in segments:
        end += part.size
        ends.append(end)
    return ends
