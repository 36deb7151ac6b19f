"""The categories that a policy speaks of: OpenAI's thirteen, the kinds of personal data, attacks, and blocklists."""

from __future__ import annotations

from collections.abc import Mapping

from textus.corpus.privacy.config import KINDS

HARMS: Mapping[str, tuple[str, ...]] = {
    "harassment": ("S5", "S10"),
    "harassment/threatening": ("S1", "S10"),
    "hate": ("S10",),
    "hate/threatening": ("S1", "S10"),
    "illicit": ("S2",),
    "illicit/violent": ("S1", "S9"),
    "self-harm": ("S11",),
    "self-harm/intent": ("S11",),
    "self-harm/instructions": ("S11",),
    "sexual": ("S3", "S12"),
    "sexual/minors": ("S4",),
    "violence": ("S1",),
    "violence/graphic": ("S1",),
}
"""The categories of OpenAI's moderation endpoint, and the nearest hazards of MLCommons' AILuminate (S1 to S12)."""
INJECTION = "prompt_injection"
"""Words that try to put themselves in the place of the instructions, or to hide."""
ATTACKS = (INJECTION, "jailbreak")
"""What rules find, and what a classifier may score."""
BROKEN = "guard_error"
"""A layer or the classifier failed on a text; what then happens is the policy's `fail`."""
BLOCKLIST = "blocklist/"
"""Begins the category of each of the user's own lists."""
CATEGORIES: tuple[str, ...] = (*HARMS, *KINDS, *ATTACKS)
"""All that a policy may name in its tables; blocklists say in their own what they do."""
