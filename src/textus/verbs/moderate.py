"""Judge texts under a policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textus.safety.audit import Audit
from textus.safety.guard import Guard
from textus.safety.policy import DEFAULT, Policy, Side
from textus.safety.verdict import Verdict
from textus.verbs.guarding import guard_of


def moderate(
    texts: str | Sequence[str],
    policy: str | Path | Policy | Guard = DEFAULT,
    *,
    guard: str | Path = "",
    side: Side = "input",
    audit: Audit | None = None,
    device: str = "cpu",
) -> list[Verdict]:
    """Return the verdict on each text: what was found, where, and what may go on.

    `policy` is a TOML file or `default`; `guard` is the directory of a classifier, if there is one. With `audit` each
    decision is logged.
    """
    opened = guard_of(policy, guard, device)
    found = []
    for text in [texts] if isinstance(texts, str) else texts:
        verdict = opened.check(text, side)
        if audit is not None:
            audit.record(verdict, text, policy=opened.policy.fingerprint)
        found.append(verdict)
    return found
