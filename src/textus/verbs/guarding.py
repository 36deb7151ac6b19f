"""Open a guard: a policy, its rules, and a classifier that was learnt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from textus import storage
from textus.adaptation.encode import text_tokens
from textus.adaptation.predict import text_logits
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ConfigError
from textus.model.headed import Headed
from textus.safety import policy as policies
from textus.safety.guard import Classifier, Guard, layers_of
from textus.safety.lexical import KIND, Lexical
from textus.safety.policy import DEFAULT, Policy
from textus.safety.taxonomy import CATEGORIES
from textus.verbs.load import load


def guard_of(policy: str | Path | Policy | Guard = DEFAULT, classifier: str | Path = "", device: str = "cpu") -> Guard:
    """Return a guard.

    `policy` is a file, `default`, or a policy; `classifier` is a directory, or empty for rules alone.
    """
    if isinstance(policy, Guard):
        return policy
    rules = policy if isinstance(policy, Policy) else policies.load(policy)
    learnt = classifier_of(Path(classifier), device) if str(classifier) else None
    return Guard(rules, layers_of(rules), learnt)


def classifier_of(directory: Path, device: str = "cpu") -> Classifier:
    """Open a classifier: one of words and letters, or a model that was adapted to give texts labels."""
    path = directory / storage.MANIFEST
    if path.is_file() and storage.read_json(path).get("kind") == KIND:
        return Lexical.load(directory)
    opened = load(directory, device=device)
    model = opened.model
    if not isinstance(model, Headed) or model.task.task != "classify" or model.task.in_pairs:
        raise ConfigError(
            f"{directory}: no classifier of texts", hint="make one: textus adapt MODEL labelled.jsonl --method classify"
        )
    if not set(model.task.labels) & set(CATEGORIES):
        raise ConfigError(
            f"{directory}: its labels are no categories of a policy: {', '.join(model.task.labels[:5])}",
            hint=f"teach it some of: {', '.join(CATEGORIES)}",
        )
    return Network(opened, model)


class Network:
    """Score texts with a model that was adapted to give them labels."""

    def __init__(self, opened: Checkpoint, model: Headed) -> None:
        self._model, self._tokenizer, self._context = model, opened.tokenizer, opened.config.context_length

    def __call__(self, text: str) -> Mapping[str, float]:
        """Return the probability of each category; of a text longer than the context, the highest over its parts."""
        tokens = text_tokens(self._tokenizer, text)
        parts = [tokens[at : at + self._context] for at in range(0, len(tokens), self._context)]
        logits = text_logits(self._model, parts)
        chances = (logits.sigmoid() if self._model.task.several else logits.softmax(1)).amax(0).tolist()
        named = zip(self._model.task.labels, chances, strict=True)
        return {label: chance for label, chance in named if label in CATEGORIES}
