"""The examples of a job: made once, kept on disk under the fingerprint of what they were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from textus import fingerprint, storage
from textus.adaptation.base import Base
from textus.adaptation.job import Job
from textus.adaptation.settings import HeldOut
from textus.dataset.examples import Examples, Gathered
from textus.dataset.records import Record, files, read
from textus.errors import CorpusError, InputError

DIRECTORY = KIND = "examples"
VERSION = 1
"""Raised whenever the same data and settings give other examples, so that kept ones are made again."""
PARTS = ("train", "validation")


class Identified(Protocol):
    """What has a hash of what it says."""

    @property
    def id(self) -> str:
        """Equal ones belong to one part."""
        ...


One = TypeVar("One", bound=Identified)
Deal = Callable[[dict[str, Gathered]], dict[str, Any]]
"""Fills the parts, and returns what is to be told of them."""


@dataclass(frozen=True)
class Built:
    """Examples on disk."""

    directory: Path
    key: str
    facts: Mapping[str, Any]
    tokenizer: str
    """Fingerprint of the tokenizer."""

    def part(self, name: str) -> Examples:
        """Open one part."""
        data = fingerprint.of_parts([self.key, name])
        return Examples.open(self.directory, name, data=data, tokenizer=self.tokenizer)


def build(job: Job, base: Base, held_out: HeldOut, settings: Sequence[Any], deal: Deal) -> Built:
    """Make the examples of a job by `deal`, or open those that are there; `settings` is what else decides them.

    Raises `CorpusError` where a part is empty.
    """
    sources = [*job.data, *map(Path, held_out.validation)]
    hashes = [fingerprint.of_file(file) for source in sources for file in files(source)]
    tokenizer, template = base.opened.tokenizer, base.turns.template
    key = fingerprint.of_value(
        [VERSION, hashes, len(job.data), vars(held_out), tokenizer.fingerprint, template.source, dict(template.tokens),
         base.opened.config.context_length, *settings]
    )  # fmt: skip
    directory = job.directory / DIRECTORY
    if not storage.is_fresh(directory, KIND, key):
        parts = {part: Gathered(tokenizer.vocab_size) for part in PARTS}
        facts = {"context": base.opened.config.context_length, "together": 1, **deal(parts)}
        for name, part in parts.items():
            if not len(part):
                raise CorpusError(
                    f"the {name} part has no example: there are {sum(map(len, parts.values()))} in all",
                    hint="give more, a larger data.validation_fraction, or data.validation=FILE",
                )
        with storage.new_directory(directory) as new:
            for name, part in parts.items():
                part.examples(name).save(new)
            tokenizer.save(new)
            storage.seal(new, KIND, key, {"tokenizer": tokenizer.fingerprint}, facts)
    return Built(directory, key, storage.manifest(directory, KIND).facts, tokenizer.fingerprint)


@dataclass
class Faults:
    """Records that are no example."""

    count: int = 0
    first: str = ""
    """What is wrong with the first of them."""

    def __str__(self) -> str:
        return f"{self.count} ({self.first})" if self.count else "0"


def dealt(job: Job, held_out: HeldOut, make: Callable[[Record], One], faults: Faults) -> Iterator[tuple[str, One]]:
    """Yield each example with the part that it belongs to; what is equal belongs to one part."""
    seen: set[str] = set()
    for path in map(Path, held_out.validation):
        for found in _good(path, held_out, make, faults):
            seen.add(found.id)
            yield "validation", found
    for path in job.data:
        for found in _good(path, held_out, make, faults):
            if not held_out.validation:
                share = int(fingerprint.of_parts(["part", found.id])[:12], 16) / 16**12
                yield PARTS[share < held_out.validation_fraction], found
            elif found.id not in seen:
                yield "train", found


def _good(path: Path, held_out: HeldOut, make: Callable[[Record], One], faults: Faults) -> Iterator[One]:
    for record in read(path):
        try:
            made = make(record)
        except InputError as error:
            if held_out.faulty == "stop":
                hint = f"{error.hint}; or data.faulty=skip to leave such records out"
                raise InputError(error.message, hint=hint) from None
            faults.count += 1
            faults.first = faults.first or error.message
            continue
        yield made
