"""The limits of a server."""

from __future__ import annotations

import dataclasses
from typing import Literal

from textus.config import Count, Positive, Settings


@dataclasses.dataclass(frozen=True)
class Limits(Settings):
    """How much a server takes on, and for how long."""

    max_requests: Count = 256
    """Requests that are answered or wait at once; one more is told to come again (503)."""
    max_prefill_tokens: Count = 65_536
    """Tokens of prompts that wait to be read; a request that would bring more is told to come again (503)."""
    max_texts: Count = 128
    """Texts that one request may ask for: its prompts times `n`."""
    max_tokens: Count = 4096
    """Tokens that one request may ask for, for each text."""
    max_body_bytes: Count = 4_194_304
    """Bytes of a request."""
    body_seconds: Positive = 30.0
    """In which a request must have come in whole."""
    request_seconds: Positive = 600.0
    """In which it must be answered; slow readers included."""
    drain_seconds: Positive = 30.0
    """How long requests under way may go on once the server is asked to stop."""
    requests_per_minute: Count | Literal["off"] = "off"
    """For each key; as many may come at once (429 beyond)."""
    tokens_per_minute: Count | Literal["off"] = "off"
    """For each key, read and written together; who has used up more waits (429)."""
    batch_size: Count = 64
    """Texts that each model writes at once; more wait their turn."""
    cache_tokens: Count = 16_384
    """For how many tokens each model keeps keys and values."""
    fixed_batch: Count | Literal["off"] = "off"
    """Every pass has exactly this many tokens, so that a text is the same, bit for bit, whatever is written beside."""
