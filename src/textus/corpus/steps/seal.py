"""Put the pieces together to a corpus, and write down what became of every document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textus import storage
from textus.corpus.config import CorpusConfig
from textus.corpus.corpus import CORPUS_VERSION, REPORT
from textus.corpus.record import next_steps
from textus.corpus.split import SPLITS
from textus.corpus.steps.decide import DECISIONS, SUMMARY
from textus.corpus.steps.leak import settle
from textus.corpus.steps.ledger import Decision, read_decisions
from textus.corpus.steps.measure import DOCUMENTS, LOG
from textus.corpus.steps.samples import MOST, Samples
from textus.corpus.steps.table import Measured
from textus.corpus.steps.write import SAMPLES, gather
from textus.corpus.store import read_some
from textus.corpus.work.task import KIND as WORK
from textus.errors import CorpusError


@dataclass(frozen=True)
class Sealing:
    """All that a corpus is put together from."""

    pieces: tuple[Measured, ...]
    decided: Path
    written: tuple[Path, ...]
    held_out: Path
    looked: tuple[Path, ...]
    """Where it is told what of the held-out documents each piece's training documents show."""
    config: CorpusConfig
    log: dict[str, Any]


def seal(place: Path, payload: Sealing) -> Mapping[str, Any]:
    """Fill the directory of the corpus; return the facts of its manifest."""
    summary = storage.read_json(payload.decided / SUMMARY)
    repairs: Counter[str] = Counter()
    samples = Samples()
    for piece in payload.pieces:
        read = storage.read_json(piece.place / LOG)
        repairs.update(read["repairs"])
        samples.add(read["samples"])
    taken_out: Counter[str] = Counter()
    for path in payload.written:
        samples.add(storage.read_json(path / SAMPLES))
        taken_out.update(storage.manifest(path, WORK).facts["taken_out"])
    _take_dropped(payload, samples)
    seen = settle(payload.written, payload.looked, payload.held_out, payload.config, summary["how"], samples)
    samples.hide(payload.config.privacy)
    splits, content = gather(payload.written, place, seen.moved)
    _check(splits, payload.config)
    found = {"leakage": seen.facts, "splits": splits, "repairs": dict(repairs), "taken_out": dict(taken_out)}
    record = {**summary, **found, "samples": samples.as_list(), **payload.log}
    record["next"] = next_steps(record, payload.config)
    storage.write_json(place / REPORT, record)
    return {"version": CORPUS_VERSION, "fingerprint": content, "how": summary["how"], "splits": splits}


def _check(splits: Mapping[str, Mapping[str, int]], config: CorpusConfig) -> None:
    for name in SPLITS:
        if name not in splits and (name != "test" or config.test_fraction):
            size = sum(part["bytes"] for part in splits.values())
            raise CorpusError(
                f"{size} bytes of text are too few to have a {name} part",
                hint="give more text, or other files to measure on with corpus.validation=FILE",
            )


def _take_dropped(payload: Sealing, samples: Samples) -> None:
    """Take examples of dropped documents, each beside the one that it was dropped for."""
    taken: Counter[str] = Counter()
    wanted: dict[int, Decision] = {}
    for group, piece in enumerate(payload.pieces):
        for row, decision in enumerate(read_decisions(payload.decided / DECISIONS, group)):
            if decision.reason and decision.reason != "empty" and taken[decision.reason] < MOST:
                taken[decision.reason] += 1
                wanted[piece.start + row] = decision
    matches = {decision.match for decision in wanted.values() if decision.match >= 0}
    texts = _texts(payload.pieces, {*wanted, *matches})
    for number, decision in wanted.items():
        source, text = texts[number]
        kept = texts[decision.match][1] if decision.match >= 0 else ""
        note = f"alike: {decision.score:.2f}, to {texts[decision.match][0]}" if decision.match >= 0 else ""
        samples.take(f"dropped: {decision.reason}", source, text, kept, decision.note or note)


def _texts(pieces: Sequence[Measured], numbers: set[int]) -> dict[int, tuple[str, str]]:
    """Return source and text of some documents."""
    found: dict[int, tuple[str, str]] = {}
    sorted_numbers = np.array(sorted(numbers), np.int64)
    for piece in pieces:
        own = sorted_numbers[(sorted_numbers >= piece.start) & (sorted_numbers < piece.stop)] - piece.start
        for row, one in read_some(piece.place, DOCUMENTS, own.tolist()).items():
            found[piece.start + row] = (one.source, one.text[:_LONGEST])
    return found


_LONGEST = 4096
"""Characters of a text that an example may be taken from."""
