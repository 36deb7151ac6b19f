"""From what the user named to parts of files, each small enough for one task: listed without being read."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow.parquet

from textus.corpus import remote
from textus.corpus.archive import spans
from textus.corpus.compression import InputFile, readable
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.decode import can_be_divided
from textus.corpus.files import ARCHIVES, FORMATS, LINES, TEXT, list_files, names
from textus.corpus.log import ReadLog
from textus.errors import InputError

TARGET_BYTES = 64 * MEGABYTE
"""About how much of a file one task reads."""
_HEAD = 8192


@dataclass(frozen=True)
class Part:
    """Say what one task reads: a file, or a range of its bytes, row groups or members.

    All parts of a file, one after the other, give the documents of the whole file, whatever the ranges. A part is data:
    it can be pickled, written as JSON, and read by another process that sees the same files.
    """

    path: str
    """The file as the user named it, for errors."""
    name: str
    """The file as `Document.source` names it."""
    place: str
    """The file as it is opened: an absolute path without links, or a URL."""
    size: int
    """Bytes of the whole file."""
    version: str
    """Changes when the file does: its time of change in nanoseconds, or what its server says."""
    start: int
    stop: int
    unit: Literal["file", "bytes", "row groups", "members"] = "file"
    """What `start` and `stop` count; for "file", they are 0 and its size. Members of a tar file count as its bytes."""
    weight: int = 0
    """Bytes on disk that reading it takes, about: for progress, and to share out the work."""

    @property
    def is_cut_text(self) -> bool:
        """Tell whether this is a range of a text whose documents end where it says so, and not at each line."""
        return self.unit == "bytes" and InputFile(self.path, self.name).suffix not in LINES

    @property
    def identity(self) -> list[Any]:
        """Return what tells this part's content from any other's without reading it: JSON, to be hashed."""
        return [self.place, self.size, self.version, self.unit, self.start, self.stop, self.name]

    def opened(self) -> BinaryIO:
        """Open the whole file."""
        return remote.opened(self.place) if remote.is_url(self.place) else Path(self.place).open("rb")

    def now(self) -> tuple[int, str]:
        """Return what size and version would be if the file were listed now."""
        if remote.is_url(self.place):
            return remote.stamp(self.place)
        with readable(self.path):
            status = Path(self.place).stat()
        return status.st_size, str(status.st_mtime_ns)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON (written as ASCII: a path may hold bytes that are no text)."""
        return dataclasses.asdict(self)


def list_parts(
    inputs: Sequence[str | Path], config: CorpusConfig, log: ReadLog, target_bytes: int = TARGET_BYTES
) -> list[Part]:
    """List what is to be read of `inputs` (files, folders, URLs), in order, in parts of about `target_bytes`.

    Reads no more than the head of large text files and the directory of Parquet files. Files with nothing in them are
    left out and counted in `log`. Raises `InputError` for what is missing and where nothing is found.
    """
    urls = [str(given) for given in inputs if remote.is_url(given)]
    local = [given for given in inputs if not remote.is_url(given)]
    parts: list[Part] = []
    for whole in itertools.chain(_local(local, log) if local or not urls else (), _remote(urls, log)):
        try:
            parts += _divided(whole, config, log, target_bytes)
        except InputError as error:
            log.refuse(error, "files")
    return parts


def _local(inputs: Sequence[str | Path], log: ReadLog) -> Iterator[Part]:
    files = list_files(inputs, log)
    for path, name in zip(files, names(files), strict=True):
        try:
            with readable(path):
                place = path.resolve()
                status = place.stat()
        except InputError as error:
            log.refuse(error, "files")
            continue
        size, version = status.st_size, str(status.st_mtime_ns)
        yield Part(str(path), name, str(place), size, version, 0, size, "file", size)


def _remote(urls: Sequence[str], log: ReadLog) -> Iterator[Part]:
    for found in remote.list_files(urls, log):
        yield Part(found.url, found.name, found.url, found.size, found.version, 0, found.size, "file", found.size)


def _divided(whole: Part, config: CorpusConfig, log: ReadLog, target: int) -> Iterator[Part]:
    if whole.size == 0:
        log.skip("empty", whole.path)
        return
    file = InputFile(whole.path, whole.name, opener=whole.opened)
    file.weight = whole.size
    if whole.size <= target:
        yield whole
    elif file.suffix == ".parquet" and not file.compression:
        yield from _by_row_groups(whole, file, target)
    elif file.suffix in ARCHIVES and not file.compression:
        yield from _by_members(whole, file, target)
    elif _is_divisible(file, config):
        yield from _by_bytes(whole, target)
    else:
        yield whole


def _by_bytes(whole: Part, target: int) -> Iterator[Part]:
    count = -(-whole.size // target)
    ends = [whole.size * number // count for number in range(count + 1)]
    for start, stop in itertools.pairwise(ends):
        yield dataclasses.replace(whole, start=start, stop=stop, unit="bytes", weight=stop - start)


def _by_row_groups(whole: Part, file: InputFile, target: int) -> Iterator[Part]:
    """Gather row groups up to the target; a damaged file stays whole, for reading it will say what is wrong."""
    try:
        with readable(file.path), file.open() as raw, pyarrow.parquet.ParquetFile(raw) as source:
            groups = [source.metadata.row_group(number) for number in range(source.num_row_groups)]
            sizes = [sum(_packed_sizes(group)) for group in groups]
    except InputError:
        yield whole
        return
    start = weight = 0
    for number, size in enumerate(sizes):
        weight += size
        if weight >= target or number == len(sizes) - 1:
            yield dataclasses.replace(whole, start=start, stop=number + 1, unit="row groups", weight=weight)
            start, weight = number + 1, 0
    if not sizes:
        yield whole


def _by_members(whole: Part, file: InputFile, target: int) -> Iterator[Part]:
    try:
        found = list(spans(file, target))
    except InputError:
        yield whole
        return
    for start, stop, weight in found:
        yield dataclasses.replace(whole, start=start, stop=stop, unit="members", weight=weight)
    if not found:
        yield whole


def _packed_sizes(group: Any) -> Iterator[int]:
    return (group.column(number).total_compressed_size for number in range(group.num_columns))


def _is_divisible(file: InputFile, config: CorpusConfig) -> bool:
    """Tell whether a text can be read from a line in its middle on."""
    if file.compression or (file.suffix in FORMATS and file.suffix not in TEXT | LINES):
        return False
    with readable(file.path), file.open() as raw:
        return can_be_divided(raw.read(_HEAD), config.encoding)
