"""The page to talk to a served model: one file over the wire, with the policy under which a browser runs it.

The folder holds the page as it is written: `index.html` with its style and its scripts beside it, which a browser also
opens from disk. They are put into one document when it is first asked for; nothing is built.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources

_STYLE = re.compile(r'<link rel="stylesheet" href="([\w.-]+)">')
_SCRIPT = re.compile(r'<script src="([\w.-]+)"></script>')


@functools.cache
def page() -> tuple[bytes, str]:
    """Return the page, and the Content-Security-Policy that lets run what is in it and nothing else."""
    style: list[str] = []
    script: list[str] = []

    def put(tag: str, hashes: list[str], name: str) -> str:
        text = _read(name)
        assert f"</{tag}" not in text.lower(), f"{name} would end its own element"
        hashes.append(_hash(text))
        return f"<{tag}>{text}</{tag}>"

    document = _STYLE.sub(lambda found: put("style", style, found[1]), _read("index.html"))
    document = _SCRIPT.sub(lambda found: put("script", script, found[1]), document)
    rules = (
        "default-src 'none'",
        f"script-src {' '.join(script)}",
        f"style-src {' '.join(style)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # in browsers that know it: no text becomes markup or code, whatever a script does
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return document.encode(), "; ".join(rules)


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
