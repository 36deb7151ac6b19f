"""Objects that stand in lines of JSON: of examples, tasks, suites and prompts, which are no documents of a corpus."""

from __future__ import annotations

import json
from typing import Any

from textus.errors import InputError


def object_at(place: str, line: str | bytes, hint: str) -> dict[str, Any]:
    """Return the object in a line, or raise `InputError` that names its place.

    >>> object_at("a.jsonl:1", b'{"text": "Once"}', "")
    {'text': 'Once'}
    """
    try:
        value = json.loads(line if isinstance(line, str) else line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8` first"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not valid JSON: {error}", hint=hint) from None
    if not isinstance(value, dict):
        raise InputError(f"{place}: not a JSON object", hint=hint)
    return value
