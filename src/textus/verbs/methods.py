"""Which ways of adapting a model there are: a new one is its module, its settings, and a line here.

Nothing is imported before a method is used.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textus.errors import ConfigError

if TYPE_CHECKING:
    from textus.adaptation.job import Adapted, Job


@dataclass(frozen=True)
class Method:
    """Where a way of adapting is; both places are `module:name`."""

    words: str
    """What it is for, for the help."""
    settings: str
    """A class of settings."""
    run: str
    """A function from a `Job` to what it came to."""

    def settings_class(self) -> Any:
        """Load the class of its settings."""
        return _load(self.settings)

    def function(self) -> Callable[[Job], Adapted]:
        """Load the function."""
        found: Callable[[Job], Adapted] = _load(self.run)
        return found


METHODS = {
    "continue": Method(
        "another text, with what it learnt first shown again",
        "textus.verbs.continued:ContinueSettings",
        "textus.verbs.continued:continued",
    ),
    "instruct": Method(
        "answers, by conversations",
        "textus.adaptation.settings:InstructSettings",
        "textus.adaptation.instruct:instruct",
    ),
    "preference": Method(
        "the better of two answers, or which answers are good",
        "textus.adaptation.settings:PreferenceSettings",
        "textus.adaptation.unpaired:prefer",
    ),
    "grpo": Method(
        "answers that a check finds right, by its own attempts",
        "textus.adaptation.settings:GrpoSettings",
        "textus.adaptation.reinforce:grpo",
    ),
    "classify": Method(
        "a label, or several, for each text or pair of texts",
        "textus.adaptation.config:ClassifySettings",
        "textus.adaptation.classify:classify",
    ),
    "moderate": Method(
        "what is harmful in a text: a classifier for a guard",
        "textus.safety.settings:ModerateSettings",
        "textus.safety.moderate:moderate",
    ),
    "tag": Method(
        "a label for each word",
        "textus.adaptation.config:TagSettings",
        "textus.adaptation.tag:tag",
    ),
    "embed": Method(
        "vectors by which texts find each other",
        "textus.adaptation.config:EmbedSettings",
        "textus.adaptation.embed:embed",
    ),
}


def method(name: str) -> Method:
    """Return a method by its name; raise `ConfigError` for one that is not there."""
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"methods: {', '.join(METHODS)}"
        raise ConfigError(f"no method `{name}` to adapt a model by", hint=hint)
    return METHODS[name]


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
