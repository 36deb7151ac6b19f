"""Rotary positions as transformers' configs spell them: `rope_parameters` (from version 5 on) or `rope_scaling`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from textus.model.config import LEARNT_FIRST, ModelConfig
from textus.model.rotary import LLAMA3_TURNS, sharpening

_KINDS = {"none": "default", "linear": "linear", "yarn": "yarn", "llama3": "llama3"}
_OURS = {theirs: ours for ours, theirs in _KINDS.items()}
_PAPER = {"beta_fast": 32, "beta_slow": 1, "truncate": True}
"""What YaRN's other numbers must be where they are given: we know no others."""
_LLAMA3 = dict(zip(("low_freq_factor", "high_freq_factor"), LLAMA3_TURNS, strict=True))
"""The same of Llama 3's."""
_USUAL = {**_PAPER, **_LLAMA3, "partial_rotary_factor": 1}
_READ = {"rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings", "attention_factor", *_USUAL}


def to_theirs(config: ModelConfig) -> dict[str, Any]:
    """Write how positions turn as transformers reads it."""
    values: dict[str, Any] = {"rope_type": _KINDS[config.rope_scaling], "rope_theta": config.rope_theta}
    if config.rope_scaling != "none":
        values["factor"] = config.rope_factor
    if config.rope_scaling in LEARNT_FIRST:
        values["original_max_position_embeddings"] = config.rope_original_context
    if config.rope_scaling == "llama3":
        values |= {name: float(value) for name, value in _LLAMA3.items()}
    return values


def from_theirs(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read our settings of positions from a whole config, of which `refused` has found nothing wrong."""
    rope, context = _given(values), values.get("max_position_embeddings")
    found = {"rope_theta": rope.get("rope_theta", values.get("rope_theta")), "rope_scaling": _OURS[_kind(rope)]}
    if found["rope_scaling"] != "none":
        found["rope_factor"] = rope.get("factor")
    if found["rope_scaling"] in LEARNT_FIRST:
        found["rope_original_context"] = rope.get("original_max_position_embeddings", context)
    return found


def refused(values: Mapping[str, Any]) -> dict[str, bool]:
    """Tell of what a config asks of positions whether it is something that we do not do."""
    rope = _given(values)
    kind = _kind(rope)
    if kind not in _OURS:
        return {f"rope_type={kind}": True}
    found = {f"{name}={value}": value is not None and name not in _READ for name, value in rope.items()}
    found |= {f"{name}={rope.get(name)}": rope.get(name) not in (None, usual) for name, usual in _USUAL.items()}
    factor, sharp = rope.get("factor"), rope.get("attention_factor")
    if kind == "yarn" and sharp is not None and isinstance(factor, int | float):
        found[f"attention_factor={sharp}"] = not math.isclose(sharp, sharpening(factor), rel_tol=1e-6)
    return found


def _given(values: Mapping[str, Any]) -> Mapping[str, Any]:
    # older writers put the scaling apart, and transformers looks there first
    return values.get("rope_scaling") or values.get("rope_parameters") or {}


def _kind(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type", rope.get("type", "default")))
