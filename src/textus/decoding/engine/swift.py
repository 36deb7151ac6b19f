"""Steps of writing that never leave a GPU: network and draw in one graph, each step fed by the token of the last.

The host fills the lines of a board, one a text, starts several steps, and fetches what they drew while the next are
under way. Matrices of few rows are read by kernels of our own, which norm, gate and add on the way; of many rows, by
those of the vendor.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from textus.decoding.engine import board as columns
from textus.decoding.engine.alone import Alone, Shape, reads
from textus.decoding.engine.board import CHUNK, MOST_KEPT, TABLE, Lines
from textus.decoding.engine.graph import recorded
from textus.decoding.engine.memory import PagedMemory
from textus.model.attention import Attention
from textus.model.layers import FeedForward, RMSNorm
from textus.model.precision import compute_dtype
from textus.model.transformer import Block, Transformer

MOST_NARROW = 64
"""Up to so many rows matrices are read by our own kernel."""
MANY = 16
"""So many chunks of logits are looked at by one program."""
STEPS = 16
"""So many steps at most are started at once."""
_MULTIPROCESSORS = 132
ALONE: Shape | None = Shape()
"""How one text is read where nothing else is said."""


def drives(model: Transformer) -> bool:
    """Tell whether the kernels know all parts of a model, and run where it is."""
    weight, config = model.embedding.weight, model.config
    if find_spec("triton") is None or compute_dtype(weight) != weight.dtype:
        return False
    known = type(model.norm) is RMSNorm and all(
        type(block) is Block and type(block.attention) is Attention and type(block.feed_forward) is FeedForward
        for block in model.blocks
    )
    biased = any(getattr(module, "bias", None) is not None for module in model.modules())
    if not known or biased or config.head_size % 2 or config.hidden_size > 2**14:
        return False
    from textus.decoding.engine import kernels  # needs a GPU's compiler

    return weight.is_cuda or type(kernels.begin).__name__ == "InterpretedFunction"


class _Layer(NamedTuple):
    attention_norm: Tensor
    joined: Tensor
    query_norm: Tensor
    key_norm: Tensor
    output: Tensor
    feed_forward_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Swift:
    """A model's weights laid out for reading few tokens, and a graph for each number of texts."""

    def __init__(self, model: Transformer, memory: PagedMemory, vocab_size: int) -> None:
        self.model, self.memory, self.vocab = model, memory, vocab_size
        self.config = config = model.config
        self.device = model.embedding.weight.device
        self.cosines, self.sines = (part.flatten(1).contiguous() for part in model.rotation(self.device))
        self.layers = [_layer(block) for block in model.blocks]
        self.norm = model.norm.get_parameter("weight").detach()
        self.blocks = -(-config.context_length // memory.size)
        self.alone = ALONE
        """How one text is read by itself; None: as several are."""
        self._stages: dict[tuple[int, int], Stage] = {}

    def stage(self, texts: int, each: int = 1) -> Stage:
        """Return what reads so many texts or more, each in so many lines."""
        size = 1 << (texts - 1).bit_length()
        if (size, each) not in self._stages:
            self._stages[size, each] = Stage(self, size * each, each)
        return self._stages[size, each]


class Stage:
    """The board of so many texts, the memory of their steps, and the graph."""

    def __init__(self, swift: Swift, rows: int, each: int = 1) -> None:
        from textus.decoding.engine import draws, guesses, kernels

        self._kernels: Any = kernels
        self._draws: Any = draws
        self._guesses: Any = guesses
        self._swift, self.rows, self.each = swift, rows, each
        config, device, dtype = swift.config, swift.device, swift.model.embedding.weight.dtype
        self.width = TABLE + swift.blocks
        spare = np.zeros((rows, self.width), dtype=np.int32)
        spare[:, columns.FIRST] = np.arange(rows) // each * each
        spare[:, columns.SOURCE] = -1
        spare[:, columns.TOP] = 1
        spare[:, columns.FLAGS] = columns.GREEDY
        spare[:, columns.HEAT] = np.float32(1).view(np.int32)
        spare[:, TABLE:] = swift.memory.spare // swift.memory.size
        self._spare: Lines = spare
        self.board = torch.from_numpy(spare).to(device)
        self._nothing = torch.zeros(1, dtype=torch.int64, device=device)
        hidden, wide = config.hidden_size, config.num_heads * config.head_size
        self._heads = wide + 2 * config.num_kv_heads * config.head_size

        def empty(*shape: int, kind: torch.dtype = dtype) -> Tensor:
            return torch.empty(shape, dtype=kind, device=device)

        self.x, self.joined = empty(rows, hidden), empty(rows, self._heads)
        self.mixed, self.gated = empty(rows, wide), empty(rows, config.intermediate_size)
        self.splits = _splits(rows * config.num_kv_heads)
        self.members = max(16, 1 << (config.num_heads // config.num_kv_heads - 1).bit_length())
        self.head = max(16, 1 << (config.head_size - 1).bit_length())
        shares = rows * config.num_kv_heads * self.splits * self.members
        self.mixtures = empty(shares, self.head, kind=torch.float32)
        self.sums = empty(shares, 2, kind=torch.float32)
        self.arrived = torch.zeros(rows * config.num_kv_heads, dtype=torch.int32, device=device)
        self._stride = swift.model.head.weight.shape[0]
        self.chunks = -(-swift.vocab // CHUNK)
        self._tiles = -(-self.chunks // MANY)
        self.logits = empty(rows, self._stride, kind=torch.float32)
        self.best = empty(rows, self.chunks, kind=torch.float32)
        self._parts = empty(rows, self._tiles, 2, kind=torch.float32)
        self.places = empty(rows, MOST_KEPT, kind=torch.int32)
        self.names = empty(rows, 2 * MOST_KEPT, kind=torch.int32)
        self.numbers = empty(rows, 2 * MOST_KEPT, kind=torch.float32)
        self.ring = torch.zeros(STEPS, rows, 2, dtype=torch.int32, device=device)
        """Of each step: the token of each text, and the bits of its log-probability."""
        self._context = config.context_length + each
        texts = rows // each
        self.said = torch.zeros(texts, self._context, dtype=torch.int32, device=device)
        """Where tokens are guessed: what each text said."""
        self._guessed = torch.zeros(rows, dtype=torch.int32, device=device)
        self.counts = torch.zeros(STEPS, texts, dtype=torch.int32, device=device)
        """Where tokens are guessed: how many tokens of each text count, of each step."""
        self._alone = Alone(swift, self, swift.alone) if rows == 1 and swift.alone and reads(swift) else None
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == "cuda":
            self._graph, _ = recorded(self._compute)

    def lines(self) -> Lines:
        """Return lines without texts, to be filled in."""
        return self._spare.copy()

    def begin(self, lines: Lines, newest: Int[Tensor, " drawn"] | None) -> None:
        """Take over lines; of those with a source the token is among `newest`."""
        found = torch.from_numpy(lines)
        if self.board.is_cuda:
            found = found.pin_memory()
        self.board.copy_(found, non_blocking=True)
        if newest is not None:
            self._kernels.begin[(self.rows,)](self.board, newest, self.width)

    def begin_to_guess(self, lines: Lines, said: Lines) -> None:
        """Take over lines, of which the first of each text is filled in, and what the texts said."""
        found = torch.from_numpy(said)
        self.said[: len(said), : said.shape[1]].copy_(found.pin_memory() if self.said.is_cuda else found)
        self.begin(lines, None)
        self._guess(is_start=True)

    def run(self, steps: int = 1) -> None:
        """Read the token of every line and draw the next, so many times."""
        for _ in range(steps):
            if self._graph is None:
                self._compute()
            else:
                self._graph.replay()

    def _compute(self) -> None:
        if self._alone:
            self._alone.compute()
            return
        swift, weight = self._swift, self._swift.model.embedding.weight
        hidden = weight.shape[1]
        self._kernels.look_up[(self.rows,)](
            self.board, weight, self.x, self.width, hidden, BLOCK=1 << (hidden - 1).bit_length()
        )
        for number, layer in enumerate(swift.layers):
            self._product(self.x, layer.joined, self.joined, layer.attention_norm)
            self._attend(number, layer)
            self._product(self.mixed, layer.output, self.x, added=True)
            self._product(self.x, layer.gate_up, self.gated, layer.feed_forward_norm, gated=True)
            self._product(self.gated, layer.down, self.x, added=True)
        self._product(self.x, swift.model.head.weight, self.logits, swift.norm)
        self._draw()
        if self.each > 1:
            self._guess()

    def _guess(self, *, is_start: bool = False) -> None:
        self._guesses.guess[(self.rows // self.each,)](
            *(self.board, self.said, self._guessed, self.ring, self.counts, self.width, self._context, self.rows),
            START=is_start,
            EACH=self.each,
            TIME=_power(self._context),
            num_warps=8,
        )

    def _product(
        self,
        x: Float[Tensor, "rows inputs"],
        weight: Float[Tensor, "outputs inputs"],
        out: Tensor,
        norm: Tensor | None = None,
        *,
        gated: bool = False,
        added: bool = False,
    ) -> None:
        if self.rows > MOST_NARROW and x.is_cuda:
            self._wide_product(x, weight, out, norm, gated, added)
            return
        rows, inputs, outputs = self.rows, x.shape[1], out.shape[1]
        epsilon = self._swift.config.norm_epsilon
        if rows == 1:
            wide = 8 if outputs > 2**14 else 4
            self._kernels.vector_product[(-(-outputs // wide),)](
                *(x, weight, weight if norm is None else norm, out, outputs, inputs, epsilon),
                NORMED=norm is not None,
                GATED=gated,
                ADDED=added,
                COLUMNS=wide,
                DEPTH=min(1024, _power(inputs)),
                num_warps=4,
            )
            return
        lines = max(16, min(rows, 64))
        width = 16 if lines == 16 else 32
        depth = (256 if lines == 16 else 128) if x.itemsize == 2 else 64
        self._kernels.product[(-(-outputs // width), -(-rows // lines))](
            *(x, weight, weight if norm is None else norm, out, rows, outputs, inputs, epsilon),
            NORMED=norm is not None,
            GATED=gated,
            ADDED=added,
            LINES=lines,
            COLUMNS=width,
            DEPTH=depth,
            num_warps=4,
            num_stages=3,
        )

    def _wide_product(
        self, x: Tensor, weight: Tensor, out: Tensor, norm: Tensor | None, gated: bool, added: bool
    ) -> None:
        if norm is not None:
            x = functional.rms_norm(x, norm.shape, norm, self._swift.config.norm_epsilon)
        if gated:
            from textus.model import fused

            out.copy_(fused.swiglu(functional.linear(x, weight)))
        elif added:
            torch.addmm(out, x, weight.t(), out=out)
        elif out.dtype == x.dtype:
            torch.mm(x, weight.t(), out=out)
        else:
            torch.mm(x, weight.t(), out_dtype=torch.float32, out=out)

    def _attend(self, number: int, layer: _Layer) -> None:
        swift, config = self._swift, self._swift.config
        memory = swift.memory
        self._kernels.attend[(self.rows, config.num_kv_heads, self.splits)](
            *(self.joined, memory.keys[number], memory.values[number], self.mixed, self.board, self.width),
            *(swift.cosines, swift.sines, layer.query_norm, layer.key_norm),
            *(self.mixtures, self.sums, self.arrived, config.norm_epsilon, config.head_size**-0.5),
            HEADS=config.num_heads,
            GROUPS=config.num_kv_heads,
            HEAD=config.head_size,
            SIZE=memory.size,
            MEMBERS=self.members,
            WIDE=self.head,
            TIME=64,
            SPLITS=self.splits,
            num_warps=4,
            num_stages=3,
        )

    def _draw(self) -> None:
        rows, vocab = self.rows, self._swift.vocab
        self._draws.survey[(rows, self._tiles)](
            *(self.logits, self.best, self._parts, self._stride, vocab, self.chunks, self._tiles), MANY=MANY
        )
        self._draws.pick[(rows,)](
            *(self.logits, self.best, self._parts, self.board, self.ring, self.places, self.names, self.numbers),
            *(self.width, self._stride, vocab, self.chunks, self._tiles, rows),
            CHUNKS=_power(self.chunks),
            TILES=_power(self._tiles),
            SLOTS=MOST_KEPT,
            FEW=2 * MOST_KEPT,
            num_warps=8,
        )


def _layer(block: Any) -> _Layer:
    attention, feed = block.attention, block.feed_forward
    parts = (attention.query, attention.key, attention.value)
    return _Layer(
        block.attention_norm.weight.detach(),
        torch.cat([part.weight.detach() for part in parts]),
        attention.query_norm.weight.detach(),
        attention.key_norm.weight.detach(),
        attention.output.weight.detach(),
        block.feed_forward_norm.weight.detach(),
        torch.cat([feed.gate.weight.detach(), feed.up.weight.detach()]),
        feed.down.weight.detach(),
    )


def _splits(programs: int) -> int:
    """Return among how many programs the keys of one text are shared out, so that a GPU is busy with one text, too."""
    return max(1, min(8, 1 << int(math.log2(max(1, _MULTIPROCESSORS // programs)))))


def _power(size: int) -> int:
    return 1 << (size - 1).bit_length()
