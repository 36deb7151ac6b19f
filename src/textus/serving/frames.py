"""How the two processes talk: JSON values, each behind its length in four bytes."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, BinaryIO

HEADER = struct.Struct(">I")
LARGEST = 1 << 30


def packed(value: Any) -> bytes:
    r"""Return a value as a frame.

    >>> packed([1])
    b'\x00\x00\x00\x03[1]'
    """
    data = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    assert len(data) <= LARGEST, f"a frame of {len(data)} bytes"
    return HEADER.pack(len(data)) + data


def read(file: BinaryIO) -> Any:
    """Wait for the next frame; raise `EOFError` where there is none, or only part of one."""
    (size,) = HEADER.unpack(_exactly(file, HEADER.size))
    return json.loads(_exactly(file, size))


async def receive(reader: asyncio.StreamReader) -> Any:
    """Wait for the next frame; raise `EOFError` where there is none, or only part of one."""
    (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
    return json.loads(await reader.readexactly(size))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (part := file.read(size - len(data))):
            raise EOFError
        data += part
    return data
