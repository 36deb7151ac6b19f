"""An ablation: the arms that are asked for, what came of each, and the report of their differences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from textus.errors import ConfigError
from textus.evaluation.effect import CONFIDENCE, Effect, effect, holm
from textus.report import Prose, Report, Section, Shown, Table

FULL = "full"
"""The arm in which nothing is changed."""
OFF = {
    "corpus.filter": "corpus.filter.profile=none",
    "corpus.filter.profile": "corpus.filter.profile=none",
    "corpus.filter.languages": "corpus.filter.languages=[]",
    "corpus.filter.rules": "corpus.filter.rules=[]",
    "corpus.deduplicate": "corpus.deduplicate=none",
    "corpus.duplicates": "corpus.deduplicate=none",
    "corpus.boilerplate": "corpus.boilerplate.action=keep",
    "corpus.passages": "corpus.passages.action=keep",
    "corpus.privacy": "corpus.privacy.policy=keep",
    "corpus.contamination": "corpus.contamination.against=[]",
    "corpus.fix_unicode": "corpus.fix_unicode=false",
    "corpus.minimum_characters": "corpus.minimum_characters=0",
}
"""What leaving a step out means where no value is given."""
_PARTS = ("corpus.", "mixture.")
_FIXED = (
    "corpus.text_column", "corpus.encoding", "corpus.maximum_document_mb", "corpus.unreadable", "corpus.validation",
    "corpus.validation_fraction", "corpus.test_fraction", "corpus.minimum_split_documents", "corpus.split.",
    "corpus.leakage.", "corpus.work.",
)  # fmt: skip
"""Settings of what is read and held out: all arms share it."""
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Change:
    """Settings that are changed together in one arm; none of them in the arm `full`."""

    items: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the settings as one word."""
        return "+".join(self.items) or FULL

    @property
    def folder(self) -> str:
        """Return a name that any file system takes."""
        return re.sub(r"[^\w.=+-]+", "_", self.name)[:_LONGEST_NAME]


def read_changes(words: Sequence[str]) -> tuple[Change, ...]:
    """Read changes: settings of the corpus divided by commas, each an arm; those joined by + are one arm.

    A setting without a value is the step that it names left out.

    >>> [change.name for change in read_changes(["corpus.deduplicate,corpus.filter+corpus.boilerplate.action=keep"])]
    ['corpus.deduplicate=none', 'corpus.filter.profile=none+corpus.boilerplate.action=keep']
    """
    arms = [arm for word in words for arm in re.split(r",(?=\s*[a-z_]+\.)", word) if arm.strip()]
    found = [Change(tuple(_item(item.strip()) for item in re.split(r"\+(?=\s*[a-z_]+\.)", arm))) for arm in arms]
    if not found:
        raise ConfigError(
            "nothing to vary", hint="name steps to leave out: --vary corpus.deduplicate,corpus.filter.profile=none"
        )
    if len({change.folder for change in found}) < len(found):
        raise ConfigError("a change is asked for twice", hint="name each arm once in --vary")
    return tuple(found)


def _item(item: str) -> str:
    key, has_value, _ = item.partition("=")
    if not key.startswith(_PARTS):
        raise ConfigError(
            f"`{item}`: only what decides the training text can be varied", hint="settings of corpus or mixture"
        )
    if any(key == fixed or (fixed.endswith(".") and key.startswith(fixed)) for fixed in _FIXED):
        raise ConfigError(
            f"`{item}`: this says what is read or held out, which all arms share", hint="set it beside --vary, for all"
        )
    if has_value:
        return item
    if key not in OFF:
        raise ConfigError(
            f"`{key}`: what is it to be?", hint=f"write {key}=VALUE; without a value: {', '.join(sorted(OFF))}"
        )
    return OFF[key]


@dataclass(frozen=True, eq=False)
class Arm:
    """What one arm learnt from, and what it came to."""

    change: Change
    directory: Path
    facts: dict[str, Any]
    """Of its training text: documents, bytes, tokens, epochs, vocabulary; `leakage` of the held-out text in it."""
    nats: Float[ndarray, "seeds units"]

    def bits_per_byte(self, num_bytes: Int[ndarray, " units"]) -> list[float]:
        """Return the score of each seed."""
        found: list[float] = (self.nats.sum(axis=1) / np.log(2) / num_bytes.sum()).tolist()
        return found


@dataclass(frozen=True, eq=False)
class Ablation(Shown):
    """All arms of an ablation, measured on one text."""

    directory: Path
    arms: tuple[Arm, ...]
    """The first is that in which nothing is changed."""
    seeds: tuple[int, ...]
    num_bytes: Int[ndarray, " units"]
    """Of the documents or blocks that were measured."""
    kind: str
    """Which of the two."""
    pool: dict[str, Any]
    plan: dict[str, Any]
    """Shape, steps and tokens of every model."""

    @property
    def effects(self) -> dict[str, Effect]:
        """Return what each change does, by its name."""
        full = self.arms[0]
        return {arm.change.name: effect(full.nats, arm.nats, self.num_bytes) for arm in self.arms[1:]}

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        found = self.effects
        adjusted = holm([one.p_value for one in found.values()])
        return {
            "directory": str(self.directory),
            "metric": "bits_per_byte",
            "confidence": CONFIDENCE,
            "seeds": list(self.seeds),
            "effects": [
                {"change": name, **vars(one), "p_value_holm": corrected}
                for (name, one), corrected in zip(found.items(), adjusted, strict=True)
            ],
            "arms": [
                {
                    "change": arm.change.name,
                    "directory": str(arm.directory),
                    "bits_per_byte": arm.bits_per_byte(self.num_bytes),
                    **arm.facts,
                }
                for arm in self.arms
            ],
            "held_out": {**self.pool, "units": len(self.num_bytes), "unit": self.kind},
            "plan": self.plan,
        }

    def report(self) -> Report:
        """Tell the same for people."""
        sections: list[tuple[str, Section]] = [
            ("What each change does to held-out bits per byte", self._effects()),
            ("What these mean", Prose(self._meaning())),
            ("What the arms learnt from", self._arms()),
            ("Held-out bits per byte by seed", self._seeds()),
            ("What was held out", Prose(self._held_out())),
            ("Every model", Table.of(self.plan)),
        ]
        return Report(f"Ablation {self.directory.name}", tuple(sections))

    def _effects(self) -> Table:
        found = self.effects
        adjusted = holm([one.p_value for one in found.values()])
        rows = tuple(
            (name, _signed(one.difference), _signed(one.low), _signed(one.high), corrected, _verdict(one))
            for (name, one), corrected in zip(found.items(), adjusted, strict=True)
        )
        return Table(("change", "difference", "low", "high", "p (Holm)", "so the change"), rows)

    def _arms(self) -> Table:
        names = (
            "documents",
            "megabytes",
            "tokens",
            "epochs",
            "vocabulary",
            "bytes a token",
            "held out, seen",
            "runs of words, seen",
        )
        rows = tuple((arm.change.name, *(arm.facts[name] for name in names)) for arm in self.arms)
        return Table(("arm", *names), rows)

    def _seeds(self) -> Table:
        scores = [arm.bits_per_byte(self.num_bytes) for arm in self.arms]
        rows = tuple(
            (arm.change.name, float(np.mean(values)), *values) for arm, values in zip(self.arms, scores, strict=True)
        )
        return Table(("arm", "mean", *(f"seed {seed}" for seed in self.seeds)), rows)

    def _meaning(self) -> str:
        return (
            f"Every number is bits per byte of the arm with the change less those of the arm `{FULL}`: above 0, the "
            f"change makes the model worse. Low and high hold {CONFIDENCE:.0%} of what {len(self.seeds)} seeds and "
            f"{len(self.num_bytes)} {self.kind}s leave to chance, paired over both; p is corrected for the number of "
            "changes. All models have the same shape and vocabulary size, and learn from the same number of tokens in "
            "the same number of steps: an arm with less text sees it more often. It is a statement about models of "
            "this size and time; a larger model on more text may answer otherwise."
        )

    def _held_out(self) -> str:
        held, shown = self.pool["held_out"], self.pool["shown"]
        words = (
            f"{held['documents']:,} texts, {held['bytes']:,} bytes, the same for all arms and untouched by their "
            f"settings. {shown['documents']:,} documents ({shown['bytes']:,} bytes) that hold one of them, or are "
            "nearly one, raw or repaired, were taken from all arms. `held out, seen` is the share of them that the "
            "finished training text of an arm still shows, `runs of words, seen` the share of their runs of 13 words "
            "(or as corpus.contamination.size says) that it has."
        )
        if self.pool["how"] == "given":
            return words
        return (
            f"{words} They were taken from the input before any step, so they are as dirty as it is: a step that "
            "takes dirt out of training can lose by that here. Name clean texts with --held-out to measure what you "
            "want to write."
        )


def _verdict(one: Effect) -> str:
    if not one.is_told:
        return "cannot be told from none"
    return "costs bits" if one.difference > 0 else "saves bits"


def _signed(value: float) -> str:
    return f"{value:+.4f}"
