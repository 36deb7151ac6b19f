"""What a model's directory says about its tokenizer beside `tokenizer.json`: special tokens, a chat template, ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from textus import storage
from textus.errors import TokenizerError

SETTINGS, TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
_MAP, _GENERATION = "special_tokens_map.json", "generation_config.json"


@dataclass(frozen=True)
class Beside:
    """The other files about a tokenizer, as they were found; all of it is kept when the tokenizer is written."""

    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """`tokenizer_config.json`, with what only an older `special_tokens_map.json` says."""
    template: str = ""
    """`chat_template.jinja`."""
    ends: tuple[int, ...] = ()
    """The tokens at which writing ends, by `generation_config.json` or as we have kept them."""

    @classmethod
    def read(cls, directory: Path) -> Beside:
        """Read what there is; raise `TokenizerError` for a file that is damaged, or asks for code of its own."""
        older = {kind: _named(value) for kind, value in _table(directory / _MAP).items()}
        settings = {**older, **_table(directory / SETTINGS)}
        if settings.get("auto_map"):
            raise TokenizerError(
                f"{directory / SETTINGS}: asks for Python code that comes with the tokenizer (auto_map), and such code "
                "is never run",
                hint="take it out where tokenizer.json is all that the tokenizer needs",
            )
        kept = settings.pop("textus_ends", [])
        ends = _table(directory / _GENERATION).get("eos_token_id", kept)
        try:
            path = directory / TEMPLATE
            template = path.read_text("utf-8") if path.is_file() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerError(f"{path}: {error}", hint="restore it, or delete it") from None
        listed = ends if isinstance(ends, list) else [ends]
        return cls(settings, template, tuple(token for token in listed if type(token) is int))

    def name_of(self, kind: str) -> str:
        """Return what a special token is called, such as `bos_token`; empty where nothing is said.

        >>> Beside({"bos_token": {"content": "<s>"}, "eos_token": "</s>"}).name_of("bos_token")
        '<s>'
        """
        value = _named(self.settings.get(kind))
        return value if isinstance(value, str) else ""

    def write(self, directory: Path, settings: Mapping[str, Any], ends: tuple[int, ...]) -> None:
        """Write `settings` and all that was found into a directory; `ends` are those besides the usual one."""
        written = {**settings, **self.settings, **({"textus_ends": list(ends)} if ends else {})}
        storage.write_json(directory / SETTINGS, written)
        if self.template:
            storage.write_text(directory / TEMPLATE, self.template)


def _named(value: Any) -> Any:
    """Return the name of a token that is described, or of each in a list."""
    if isinstance(value, list):
        return [_named(one) for one in value]
    return value.get("content") if isinstance(value, Mapping) else value


def _table(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    values = storage.read_json(path, TokenizerError)
    if not isinstance(values, dict):
        raise TokenizerError(f"{path}: not a JSON object", hint="restore it, or delete it")
    return values
