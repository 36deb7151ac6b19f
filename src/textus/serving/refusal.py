"""A request that is not answered, in the four fields that OpenAI's clients expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textus.errors import TextusError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}
AGAIN = (429, 503)
"""What may go well a little later."""


class Refusal(Exception):
    """Say why a request is not answered; `param` is the field that is at fault."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, retry_after: float = 1.0
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after = retry_after
        """In how many seconds it is worth asking again, where it is."""

    @property
    def body(self) -> dict[str, Any]:
        """The answer."""
        kind = _TYPES.get(self.status, "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """When to ask again, or that it is no use."""
        if self.status in AGAIN:
            return {"retry-after": str(max(1, min(120, round(self.retry_after + 0.5))))}
        return {"x-should-retry": "false"} if self.status >= 408 else {}

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, to be sent from process to process."""
        names = ("status", "message", "param", "code", "retry_after")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Refusal:
        """Make it anew on the other side."""
        values = dict(fields)
        return cls(values.pop("status"), values.pop("message"), **values)


def in_words(error: TextusError) -> str:
    """Return an error and its hint as one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message
