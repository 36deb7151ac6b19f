"""Where a model came from: a chain of fingerprints from its text to its weights."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from textus import fingerprint
from textus.version import __version__


def provenance(
    *,
    corpus: str,
    tokenizer: str,
    shards: str,
    settings: Mapping[str, Any],
    facts: Mapping[str, Any] = MappingProxyType({}),
    parent: str = "",
) -> dict[str, Any]:
    """Say what a model was made from, with what, and how.

    `corpus`, `tokenizer`, `shards` and `parent` are fingerprints; `parent` is empty where a model began from nothing.
    `facts` is what the run knows: steps, tokens seen, device, scores. The clock is not asked, so that equal runs have
    equal provenance.
    """
    return {
        "format": 1,
        "corpus": corpus,
        "tokenizer": tokenizer,
        "shards": shards,
        "parent": parent,
        "settings": dict(settings),
        "facts": dict(facts),
        "code": fingerprint.of_code(),
        "versions": {"textus": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
