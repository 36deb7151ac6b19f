"""Write any number of texts with an engine, so many at a time, each begun as soon as there is room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from textus.decoding.engine.engine import Engine, Handle
from textus.decoding.piece import Piece


def write_all(engine: Engine, begins: Iterable[Callable[[], Handle]], at_once: int) -> Iterator[tuple[int, Piece]]:
    """Yield the pieces of all texts as they come, each with the number of its text; leaving early cancels them all."""
    begun = enumerate(begins)
    running: dict[int, Handle] = {}
    try:
        while True:
            while len(running) < at_once and (entry := next(begun, None)):
                running[entry[0]] = entry[1]()
            if not running:
                return
            engine.step()
            for number, handle in list(running.items()):
                while handle.pieces or handle.error:
                    piece = handle.next()
                    assert piece is not None
                    yield number, piece
                if handle.is_over:
                    del running[number]
    finally:
        for handle in running.values():
            handle.cancel()
