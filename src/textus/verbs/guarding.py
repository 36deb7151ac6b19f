"""Open a guard: a policy, its rules, and a classifier that was learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textus import storage
from textus.safety import policy as policies
from textus.safety.guard import Classifier, Guard, layers_of
from textus.safety.lexical import KIND, Lexical
from textus.safety.network import Network
from textus.safety.policy import DEFAULT, Policy
from textus.verbs.load import load


def guard_of(policy: str | Path | Policy | Guard = DEFAULT, classifier: str | Path = "", device: str = "cpu") -> Guard:
    """Return a guard.

    `policy` is a file, `default`, or a policy; `classifier` is a directory, or empty for rules alone. Thresholds that
    the policy does not name are those that the classifier was given when it was made.
    """
    if isinstance(policy, Guard):
        return policy
    rules = policy if isinstance(policy, Policy) else policies.load(policy)
    learnt = classifier_of(Path(classifier), device) if str(classifier) else None
    if isinstance(learnt, Network):
        rules = replace(rules, thresholds={**learnt.thresholds, **rules.thresholds})
    return Guard(rules, layers_of(rules), learnt)


def classifier_of(directory: Path, device: str = "cpu") -> Classifier:
    """Open a classifier: one of words and letters, or a model that was adapted to give texts labels."""
    path = directory / storage.MANIFEST
    if path.is_file() and storage.read_json(path).get("kind") == KIND:
        return Lexical.load(directory)
    return Network.of(load(directory, device=device))
