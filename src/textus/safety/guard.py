"""Layers and a classifier under a policy: a text in, a verdict out."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from textus.safety.blocklist import Phrases
from textus.safety.injection import Injection
from textus.safety.personal import Personal
from textus.safety.policy import Action, Policy, Side
from textus.safety.span import Layer, Reading, Span
from textus.safety.stream import Stream
from textus.safety.taxonomy import BROKEN
from textus.safety.verdict import Verdict

Classifier = Callable[[str], Mapping[str, float]]
"""A text of a window's length in; a probability for each category that it knows out."""


def layers_of(policy: Policy) -> tuple[Layer, ...]:
    """Return the rules that a policy asks for."""
    return (Personal(), Injection(), *(Phrases(blocklist) for blocklist in policy.blocklists))


@dataclass(frozen=True)
class Guard:
    """Judge texts, whole or as they are written.

    >>> from textus.safety import policy
    >>> rules = policy.load()
    >>> Guard(rules, layers_of(rules)).check("I am ada@example.org", "output").text
    'I am <EMAIL>'
    """

    policy: Policy
    layers: Sequence[Layer]
    classifier: Classifier | None = None
    _watched: dict[Side, tuple[Layer, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # What the policy allows is not even looked for.
        watched = {
            side: tuple(
                layer
                for layer in self.layers
                if any(self.policy.action(category, side) != "allow" for category in layer.categories)
            )
            for side in ("input", "output")
        }
        object.__setattr__(self, "_watched", watched)

    def check(self, text: str, side: Side = "input") -> Verdict:
        """Judge a whole text.

        The same windows are read as when it comes in pieces, and to its end even if it is blocked.
        """
        stream = Stream(self, side, to_the_end=True)
        released = stream.push(text) + stream.close()
        return stream.verdict("" if stream.blocked else released)

    def stream(self, side: Side = "output") -> Stream:
        """Begin to judge a text that comes in pieces."""
        return Stream(self, side)

    def ahead(self, windows: Sequence[str]) -> None:
        """Let the classifier read together what is judged one by one right behind this: that is faster, no more."""
        together = getattr(self.classifier, "ahead", None)
        if together is not None and len(windows) > 1:
            # whoever judges them one by one finds out what is wrong, and does as the policy says
            with contextlib.suppress(Exception):
                together(windows)

    def action(self, category: str, side: Side) -> Action:
        """Return what is done with what was found; a layer that broke is done with as `fail` says."""
        if category == BROKEN:
            return "block" if self.policy.fail == "closed" else "score"
        return self.policy.action(category, side)

    def read(self, window: str, side: Side) -> Reading:
        """Let every layer and the classifier read one window."""
        spans: list[Span] = []
        scores: dict[str, float] = {}
        errors: list[str] = []
        for layer in self._watched[side]:
            try:
                spans += [span for span in layer(window) if self.action(span.category, side) != "allow"]
            except Exception as error:  # whatever it is, the policy says what it means
                errors.append(_broken(layer.name, error))
        if self.classifier is not None:
            try:
                scores = _checked(self.classifier(window))
            except Exception as error:
                errors.append(_broken("classifier", error))
        spans += [
            Span(0, len(window), category, "classifier", score)
            for category, score in scores.items()
            if score >= self.policy.threshold(category) and self.action(category, side) != "allow"
        ]
        spans += [Span(0, len(window), BROKEN, "guard", rule=error) for error in errors]
        return Reading(tuple(spans), scores, tuple(errors))


def _broken(name: str, error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{name}: {type(error).__name__}" + (f": {first}" if first else "")


def _checked(scores: Mapping[str, float]) -> dict[str, float]:
    """Refuse what is no probability: a model that has gone wrong would let everything pass."""
    for category, score in scores.items():
        if not math.isfinite(score) or not 0 <= score <= 1:
            raise ValueError(f"the score of {category} is {score}")
    return dict(scores)
