"""The characters that stand for bytes in a `tokenizer.json`, as GPT-2 laid down."""

from __future__ import annotations


def _byte_characters() -> dict[str, int]:
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + rank): byte for rank, byte in enumerate(hidden)}


BYTES = _byte_characters()
"""The byte of each character."""
CHARACTERS = {byte: character for character, byte in BYTES.items()}
"""The character of each byte: a table for `str.translate`."""


def to_bytes(text: str) -> bytes:
    """Return the bytes that a token in a file stands for; raise `KeyError` where it is no string of bytes.

    >>> to_bytes("Ġcaf" + "Ã©").decode()
    ' café'
    """
    return bytes(map(BYTES.__getitem__, text))


def to_characters(token: bytes) -> str:
    """Return how a token is written in a file.

    >>> to_characters(b" caf")
    'Ġcaf'
    """
    return token.decode("latin-1").translate(CHARACTERS)
