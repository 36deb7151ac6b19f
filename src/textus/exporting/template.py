"""The chat template of a model directory, where it has one."""

from __future__ import annotations

from pathlib import Path

from textus import storage
from textus.errors import CheckpointError

_FILE, _CONFIG = "chat_template.jinja", "tokenizer_config.json"


def chat_template(directory: Path) -> str:
    """Return the template from where transformers looks, a file or the tokenizer's config; empty if there is none."""
    if (directory / _FILE).is_file():
        return (directory / _FILE).read_text("utf-8")
    path = directory / _CONFIG
    found = storage.read_json(path, CheckpointError).get("chat_template") if path.is_file() else None
    if isinstance(found, list):  # several, by name
        found = next((entry.get("template") for entry in found if entry.get("name") == "default"), None)
    return found if isinstance(found, str) else ""
