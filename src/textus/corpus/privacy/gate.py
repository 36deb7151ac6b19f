"""Tell at a glance which texts may hold a secret or a number: few, and only these are looked through for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index, TextBatch

Bytes = NDArray[np.uint8]
NAME_BEFORE = 48
"""How far before a sign of assignment the name may begin."""
_KELVIN = 0x212A  # the one character beyond ASCII that is a letter of a name in lower case
_MARKERS = ("-----BEGIN", "glpat-", "sk-", "hooks.slack", ".eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "_pat_",
            "hf_", "k_live_", "k_test_")  # fmt: skip
"""What tokens of known services have, each with the sign in it that is looked for first."""
_PLAIN = (("AKIA", 2), ("ASIA", 2), ("AIza", 0))
"""Those without a sign, each with the place of the two letters that are looked for first."""
_NAMES = (("secret", 2), ("token", 1), ("passw", 3), ("key", 1), ("credential", 0))
_KINDS = {"0": "0123456789", "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "a": "abcdef", "-": "- ()/\xa0", ".": ".", ":": ":"}
SKELETON = bytes(next((ord(kind) for kind, chars in _KINDS.items() if chr(code) in chars), 10) for code in range(256))
"""What a character of Latin-1 is in a number; a digit is 0."""
_DIGIT, _ADDRESS, _HEXADECIMAL = ord("0"), 4, np.frombuffer(b"0Aa:", np.uint8)
_STEPS = (1, 2, 3)
"""Seven in a row are told in three steps: two twos make four, two fours that overlap by one make seven."""
_SLACK = 4
"""Where in `xoxb-` the hyphen stands."""


def may_hold_secrets(batch: TextBatch) -> NDArray[np.bool_]:
    """Tell in which texts `secrets` may find something; in no other it does.

    >>> may_hold_secrets(TextBatch(["To be: or not", "the key is = there", "AKIA", "ask-me"])).tolist()
    [False, True, True, True]
    """
    # Characters beyond Latin-1 lose their high bits: some are taken for others, and more is marked than need be.
    codes = batch.codes.astype(np.uint8)
    places, signs = batch.signs
    at = {sign: places[signs == ord(sign)] for sign in "-._=:"}
    found = [_with(codes, marker, at[sign], marker.index(sign)) for marker, sign in _SIGNED]
    hyphens = at["-"][at["-"] >= _SLACK]
    found.append(hyphens[(codes[hyphens - 4] == ord("x")) & (codes[hyphens - 3] == ord("o"))])
    found += [_anywhere(codes, marker, first) for marker, first in _PLAIN]
    assignments = np.concatenate([at["="], at[":"]])
    before = np.maximum(assignments[:, None] + np.arange(-NAME_BEFORE, 0), 0).ravel()
    lowered = np.where(batch.codes[before] == _KELVIN, np.uint8(ord("k")), codes[before] | np.uint8(0x20))
    found += [assignments[_anywhere(lowered, name, first) // NAME_BEFORE] for name, first in _NAMES]
    return _marked(batch, found)


def may_hold_numbers(batch: TextBatch) -> NDArray[np.bool_]:
    """Tell in which texts `numbers` may find something: seven digits and what stands between them, in a row; or others.

    >>> may_hold_numbers(TextBatch(["in 1890, or 1891", "call 555 0119", "2001:4860:: is", "DE89 3704"])).tolist()
    [False, True, True, True]
    """
    skeleton = np.frombuffer(bytearray(batch.codes.astype(np.uint8)).translate(SKELETON), np.uint8)
    is_digit = skeleton == _DIGIT
    in_number = is_digit | (skeleton == ord("-")) | (skeleton == ord("."))
    for step in _STEPS:
        in_number = in_number[:-step] & in_number[step:]
    found = [np.flatnonzero(in_number & is_digit[: len(in_number)])]
    # An account begins with two letters and two digits; before the first colon of an address stand four of 0 to f.
    accounts = np.flatnonzero(
        is_digit[3:] & is_digit[2:-1] & (skeleton[1:-2] == ord("A")) & (skeleton[:-3] == ord("A"))
    )
    colons = batch.signs[0][batch.signs[1] == ord(":")]
    colons = colons[colons >= _ADDRESS]
    colons = colons[is_digit[colons - _ADDRESS] & np.isin(skeleton[colons + 1], _HEXADECIMAL)]
    found += [accounts, colons]
    return _marked(batch, found)


def _marked(batch: TextBatch, places: list[Index]) -> NDArray[np.bool_]:
    """Mark the texts in which some places are."""
    marked = np.zeros(len(batch), bool)
    marked[np.searchsorted(batch.starts, np.concatenate(places), "right") - 1] = True
    return marked


_SIGNED = tuple((marker, next(character for character in marker if character in "-._")) for marker in _MARKERS)


def _with(codes: Bytes, marker: str, places: Index, offset: int) -> Index:
    """Return where a marker begins, given all places of one of its characters."""
    starts = places - offset
    return _whole(codes, marker, starts[(starts >= 0) & (starts + len(marker) <= len(codes))])


def _anywhere(codes: Bytes, marker: str, first: int) -> Index:
    """Return where a marker begins, looking first for two of its letters that are seldom neighbours."""
    one, two = (ord(character) for character in marker[first : first + 2])
    return _with(codes, marker, np.flatnonzero((codes[:-1] == one) & (codes[1:] == two)), first)


def _whole(codes: Bytes, marker: str, starts: Index) -> Index:
    for step, character in enumerate(marker):
        starts = starts[codes[starts + step] == ord(character)]
    return starts
