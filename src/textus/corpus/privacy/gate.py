"""Tell at a glance which texts may hold a secret: few, and only these are looked through for one."""

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
    assignments = np.sort(np.concatenate([at["="], at[":"]]))
    if len(assignments):
        lowered = codes | np.uint8(0x20)
        lowered[batch.codes == _KELVIN] = ord("k")
        names = np.concatenate([_anywhere(lowered, name, first) for name, first in _NAMES])
        following = np.searchsorted(assignments, names)
        names, following = names[following < len(assignments)], following[following < len(assignments)]
        found.append(names[assignments[following] - names <= NAME_BEFORE])
    marked = np.zeros(len(batch), bool)
    marked[np.searchsorted(batch.starts, np.concatenate(found), "right") - 1] = True
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
