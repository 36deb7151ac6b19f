"""What to do with personal data and secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from textus.config import Settings

Kind = Literal["email", "phone", "ip_address", "iban", "card", "ssn", "secret"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind that is looked for, in the order of reports."""
Policy = Literal["keep", "redact", "drop"]
_Own = Literal["policy", "keep", "redact", "drop"]


@dataclass(frozen=True)
class PrivacyConfig(Settings):
    """Say what happens to each kind of personal data; all kinds are counted whatever is said here."""

    policy: Policy = "keep"
    """What to do with personal data: keep and count it, put placeholders such as <EMAIL>, or drop the document."""
    email: _Own = "policy"
    """What to do with e-mail addresses; "policy" as for all kinds."""
    phone: _Own = "policy"
    """What to do with telephone numbers."""
    ip_address: _Own = "policy"
    """What to do with IP addresses, version 4 and 6."""
    iban: _Own = "policy"
    """What to do with international bank account numbers."""
    card: _Own = "policy"
    """What to do with numbers of payment cards."""
    ssn: _Own = "policy"
    """What to do with US social security numbers."""
    secret: _Own = "policy"
    """What to do with passwords, API keys, tokens and private keys."""
    checked: bool = False
    """Leave out what has the shape but cannot exist: an IBAN with wrong check digits, a US number that is never issued,
    an IP address kept for documentation. Cards must always pass their check."""

    def of(self, kind: Kind) -> Policy:
        """Return what to do with one kind."""
        own: _Own = getattr(self, kind)
        return self.policy if own == "policy" else own
