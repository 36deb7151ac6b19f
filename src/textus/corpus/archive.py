"""Archives: their members one after the other, as files of their own; nothing is unpacked to the disk."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from textus.corpus.compression import Counted, InputFile, readable
from textus.corpus.decode import looks_binary
from textus.corpus.files import ARCHIVES, BINARY, FORMATS
from textus.corpus.log import ReadLog
from textus.errors import InputError

_HEAD = 8192
_BUFFER = 1 << 16
_END = bytes(512)


def members(file: InputFile, log: ReadLog, span: tuple[int, int] | None = None) -> Iterator[InputFile]:
    """Yield the members that are to be read, each of which can be opened once, before the next is asked for.

    Hidden ones and binaries are left out and counted; an archive within an archive is refused. `span` limits them to a
    range that `spans` gave.
    """
    if file.suffix == ".zip":
        yield from _of_zip(file, log, span)
    else:
        yield from _of_tar(file, log, span)


def spans(file: InputFile, target: int) -> Iterator[tuple[int, int, int]]:
    """Divide an archive into ranges of members: (first, end, bytes on disk), each of about `target` bytes.

    They count members of a zip file, and bytes of a tar file. A packed tar file cannot be entered: one range.
    """
    with readable(file.path), file.open() as raw:
        if file.suffix == ".zip":
            with zipfile.ZipFile(raw) as archive:
                marks = [(n, info.compress_size) for n, info in enumerate(archive.infolist())]
            end = len(marks)
        elif file.compression:
            marks, end = [(0, file.weight)], file.weight
        else:
            marks, end = list(_tar_marks(raw)), file.weight
    first = weight = 0
    for number, (mark, size) in enumerate(marks):
        if weight >= target:
            yield first, mark, weight
            first, weight = mark, 0
        weight += size
        if number == len(marks) - 1:
            yield first, end, weight


def _of_zip(file: InputFile, log: ReadLog, span: tuple[int, int] | None) -> Iterator[InputFile]:
    with readable(file.path), file.open() as raw, zipfile.ZipFile(raw) as archive:
        for info in archive.infolist()[slice(*span) if span else slice(None)]:
            file.advance(info.compress_size)
            if info.is_dir():
                continue
            member = _member(file, info.filename)
            if info.flag_bits & 1:
                hint = "unpack it yourself, or set corpus.unreadable=skip to leave it out"
                log.refuse(InputError(f"{member.path}: encrypted", hint=hint), "files")
            elif _is_wanted(member, info.filename, log):
                try:
                    with readable(member.path):
                        stream = archive.open(info)
                except (NotImplementedError, InputError) as error:
                    log.refuse(InputError(f"{member.path}: {error}", hint="pack it again, or unpack it"), "files")
                    continue
                yield from _opened(member, stream, log)


def _of_tar(file: InputFile, log: ReadLog, span: tuple[int, int] | None) -> Iterator[InputFile]:
    with readable(file.path), file.open() as raw:
        if span and span[0]:
            raw.seek(span[0])
        before = raw.tell()
        mode = "r|" if file.compression else "r:"
        with tarfile.open(fileobj=file.unpacked(raw), mode=mode, bufsize=_BUFFER) as archive:  # type: ignore[call-overload]
            for info in archive:
                archive.members = []  # it would keep them all
                if span and info.offset >= span[1]:
                    return
                file.advance(raw.tell() - before)
                before = raw.tell()
                member = _member(file, info.name)
                if info.isdir():
                    continue
                if not info.isfile():
                    log.skip("link or special file in an archive", str(member.path))
                elif _is_wanted(member, info.name, log):
                    yield from _opened(member, archive.extractfile(info), log)
            if not file.compression:
                raw.seek(archive.offset)
                if raw.read(len(_END)) != _END:
                    raise EOFError("the archive ends before its end mark")


def _tar_marks(raw: BinaryIO) -> Iterator[tuple[int, int]]:
    with tarfile.open(fileobj=raw, mode="r:") as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]
            yield info.offset, info.offset_data + info.size - info.offset


def _member(file: InputFile, name: str) -> InputFile:
    # As with names of files: bytes that are no text are written as \xff.
    printable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").lstrip("/")
    return InputFile(f"{file.path}/{printable}", f"{file.name}/{printable}", allowance=file.allowance)


def _is_wanted(member: InputFile, name: str, log: ReadLog) -> bool:
    """Tell whether a member is to be read, as far as its name tells; count those that are not."""
    if any(part.startswith(".") and part not in (".", "..") for part in name.split("/")) or "__MACOSX" in name:
        log.skip("hidden", str(member.path))
    elif member.suffix in ARCHIVES:
        hint = "unpack the outer one first, or set corpus.unreadable=skip to leave the inner one out"
        log.refuse(InputError(f"{member.path}: an archive in an archive", hint=hint), "files")
    elif member.suffix in BINARY:
        log.skip(f"binary ({member.suffix})", str(member.path))
    else:
        return True
    return False


def _opened(member: InputFile, stream: Any, log: ReadLog) -> Iterator[InputFile]:
    """Yield a member with its stream, unless it is empty or, of a format not known, looks binary."""
    with io.BufferedReader(Counted(stream, member.allowance, member.path), _BUFFER) as buffered:
        try:
            with readable(member.path):
                head = buffered.peek(_HEAD)
        except InputError as error:
            log.refuse(error, "files")
            return
        if not head:
            log.skip("empty", str(member.path))
        elif not member.compression and member.suffix not in FORMATS and looks_binary(head):
            log.skip(f"binary ({member.suffix or 'no ending'})", str(member.path))
        else:
            member.opener = lambda: cast(BinaryIO, buffered)
            yield member
