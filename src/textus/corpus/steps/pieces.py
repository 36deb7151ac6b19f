"""Put what is to be read together to pieces of work of like size, however large a file or a document is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from textus import storage
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.inputs import Part
from textus.corpus.log import ReadLog
from textus.corpus.read import extent
from textus.corpus.steps.measure import DOCUMENTS, LOG, Files, Source, Staged, Unpacking, unpack
from textus.corpus.store import document_files
from textus.corpus.work.bench import Bench, Job

_EXTENTS = "extents.json"
_MOST_PIECES = 4096
_UNPACKED = 4
"""How much larger a piece of unpacked text may be than one on disk, where that is packed."""


def divide(bench: Bench, parts: Sequence[Part | Staged], config: CorpusConfig, log: ReadLog) -> list[Source]:
    """Put parts together to pieces of about `task_mb`; what is larger is unpacked, and then divided."""
    size = _piece_bytes(parts, config)
    parts = _weighed(bench, parts)
    large = [part for part in parts if isinstance(part, Part) and part.weight > 1.5 * size]
    unpackings = [Unpacking(part, config, int(size if part.is_cut_text else _UNPACKED * size)) for part in large]
    jobs = [Job(one, one.key, one.part.weight) for one in unpackings]
    unpacked = dict(zip(large, bench.each("unpack", "unpacked", unpack, jobs), strict=True))
    sources: list[Source] = []
    group: list[Part] = []
    for part in parts:
        if group and (part in unpacked or isinstance(part, Staged) or sum(one.weight for one in group) >= size):
            sources.append(Files(tuple(group)))
            group = []
        if isinstance(part, Staged):
            sources.append(part)
        elif part in unpacked:
            place = unpacked[part]
            log.add(ReadLog.from_dict(storage.read_json(place / LOG)["log"]))
            sources += [Staged(path, place.name) for path in document_files(place, DOCUMENTS)]
        else:
            group.append(part)
    return [*sources, *([Files(tuple(group))] if group else [])]


def weigh(place: Path, parts: tuple[Part, ...]) -> Mapping[str, Any]:
    """Write how many bytes the documents take that begin in each part of a text."""
    storage.write_json(place / _EXTENTS, [extent(part) for part in parts])
    return {"parts": len(parts)}


def _weighed(bench: Bench, parts: Sequence[Part | Staged]) -> Sequence[Part | Staged]:
    """Give the parts of a text the weight of what begins in them: a document may be as long as its file."""
    texts = [part for part in parts if isinstance(part, Part) and part.is_cut_text]
    files = [tuple(own) for _, own in groupby(texts, lambda part: part.place)]
    jobs = [Job(own, [part.identity for part in own], own[0].size / 100) for own in files]
    places = bench.each("look for documents", "extents", weigh, jobs)
    weights = (weight for place in places for weight in storage.read_json(place / _EXTENTS))
    found = {part: dataclasses.replace(part, weight=weight) for part, weight in zip(texts, weights, strict=True)}
    weighed = (found.get(part, part) if isinstance(part, Part) else part for part in parts)
    return [part for part in weighed if part.weight or isinstance(part, Staged)]


def _piece_bytes(parts: Sequence[Part | Staged], config: CorpusConfig) -> float:
    """Return the size of pieces: as set, or 2, 4, 8, ... times as much where there would be too many."""
    size = config.work.task_mb * MEGABYTE
    while sum(part.weight for part in parts) > _MOST_PIECES * size:
        size *= 2
    return size
