"""How one text is written on a GPU: by programs that stay for the whole step, one or two on each multiprocessor."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from textus.decoding.engine.board import CHUNK, MOST_KEPT

if TYPE_CHECKING:
    from textus.decoding.engine.swift import Stage, Swift

MOST_COLUMNS = 32
_ON_CPU = 3
"""So many programs where they run one after another."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """How the work of a step is shared out."""

    each: int = 1
    """Programs on a multiprocessor."""
    warps: int = 8
    tile: int = 2**14
    """So many numbers of a matrix are read at a time by one program, and as many are on their way."""
    meets: bool = True
    """Whether all is one launch; otherwise each part of each layer is one."""


class Alone:
    """The step of one text."""

    def __init__(self, swift: Swift, stage: Stage, shape: Shape) -> None:
        from textus.decoding.engine import whole

        self._whole: Any = whole
        config, device = swift.config, swift.device
        self._meets = shape.meets and device.type == "cuda"
        programs = _ON_CPU
        if device.type == "cuda":
            programs = shape.each * torch.cuda.get_device_properties(device).multi_processor_count
        self._programs, self._layers = programs, len(swift.layers)
        self._table = torch.tensor(_addresses(swift), dtype=torch.int64, device=device)
        self._meeting = torch.zeros(1, dtype=torch.int64, device=device)
        self.peaks = torch.empty(programs, 2, device=device)
        """Of each program: its best logit, and the sum of exponentials in its share."""
        wide, head = config.num_heads * config.head_size, swift.model.head.weight
        hidden, inner = config.hidden_size, config.intermediate_size
        memory = swift.memory
        self._inputs: tuple[Tensor | float, ...] = (
            *(stage.board, self._table, swift.model.embedding.weight, head, swift.norm),
            *(stage.x, stage.joined, stage.mixed, stage.gated, stage.logits),
            *(memory.keys, memory.values, memory.keys[0].numel(), swift.cosines, swift.sines),
            *(stage.mixtures, stage.sums, stage.arrived, stage.best, self.peaks, stage.ring),
            *(stage.places, stage.names, stage.numbers, self._meeting),
            *(stage.width, config.norm_epsilon, config.head_size**-0.5, swift.vocab, stage.chunks),
        )
        many = _parts(_parts(len(head), CHUNK), programs)
        self._constants = {
            "PROGRAMS": programs,
            "HIDDEN": hidden,
            "INNER": inner,
            "OUTPUTS": len(head),
            "BLOCK": _power(hidden),
            "HEADS": config.num_heads,
            "GROUPS": config.num_kv_heads,
            "SIZE_OF_HEAD": config.head_size,
            "SIZE": memory.size,
            "MEMBERS": stage.members,
            "WIDE": stage.head,
            "SPLITS": stage.splits,
            "TIME": 64,
            **_tiles("PROJECT", _parts(stage.joined.shape[1], programs), hidden, shape.tile),
            **_tiles("OUTPUT", _parts(hidden, programs), wide, shape.tile),
            **_tiles("GATE", _parts(inner, programs), hidden, shape.tile // 2),
            **_tiles("DOWN", _parts(hidden, programs), inner, shape.tile),
            **_tiles("HEAD", many * CHUNK, hidden, shape.tile),
            "CHUNKS": _power(stage.chunks),
            "TILES": _power(programs),
            "MANY": _power(many),
            "SLOTS": MOST_KEPT,
            "FEW": 2 * MOST_KEPT,
            "num_warps": shape.warps,
            "num_stages": 2,
        }

    def compute(self) -> None:
        """Read the token of the line and draw the next."""
        whole = self._whole
        if self._meets:
            # whoever waits must know that all others run
            self._launch(0, self._layers, whole.ALL, launch_cooperative_grid=True)
            return
        for layer in range(self._layers):
            for part in (whole.PROJECT, whole.ATTEND, whole.OUTPUT, whole.GATE, whole.DOWN):
                self._launch(layer, layer + 1, part)
        self._launch(0, 0, whole.HEAD)
        self._launch(0, 0, whole.PICK)

    def _launch(self, first: int, last: int, parts: int, **options: Any) -> None:
        self._whole.write[(self._programs,)](
            *(*self._inputs, first, last), PARTS=parts, MEET=self._meets, **self._constants, **options
        )


def reads(swift: Swift) -> bool:
    """Tell whether all weights begin where they can be read in whole pieces."""
    return all(address % 16 == 0 for line in _addresses(swift) for address in line)


def _addresses(swift: Swift) -> list[list[int]]:
    return [[part.data_ptr() for part in layer] for layer in swift.layers]


def _tiles(part: str, share: int, inputs: int, tile: int) -> dict[str, int]:
    """Return a program's share of the rows of a matrix, and how much of it is read at a time."""
    columns = min(MOST_COLUMNS, _power(share))
    depth = max(16, min(_power(inputs), tile // columns))
    return {f"{part}_SHARE": share, f"{part}_COLUMNS": columns, f"{part}_DEPTH": depth}


def _power(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _parts(size: int, of: int) -> int:
    return -(-size // of)
