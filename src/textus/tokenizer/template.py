"""Chat templates: conversations as one text, by the Jinja that a model's directory keeps, run in a sandbox.

The convention is Hugging Face's: `chat_template.jinja` beside the model, or `chat_template` in `tokenizer_config.json`;
the template sees `messages`, `add_generation_prompt` and the names of the special tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from textus import storage
from textus.errors import TokenizerError

FILE = "chat_template.jinja"
SETTINGS = "tokenizer_config.json"
CHATML = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The template of models that have none: END, then each turn between two tokens of its own."""
NAMES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
ANSWER, OVER = "\ue0f0", "\ue0f1"
"""Characters for private use that surround what `{% generation %}` marks as an answer."""
Message = Mapping[str, Any]


@dataclass(frozen=True)
class ChatTemplate:
    r"""The text of a template, and what it calls the special tokens.

    >>> ChatTemplate(CHATML, {"bos_token": "<s>"}).render([{"role": "user", "content": "Hi"}], begin_answer=True)
    '<s><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n'
    """

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    """`bos_token`, `eos_token` and so on, by what they are called in the vocabulary."""

    @classmethod
    def load(cls, directory: Path) -> ChatTemplate | None:
        """Read the template that a model's directory keeps, if it keeps one."""
        path, settings = directory / FILE, {}
        if (directory / SETTINGS).is_file():
            settings = storage.read_json(directory / SETTINGS, TokenizerError)
        source = _named_default(settings.get("chat_template")) if isinstance(settings, dict) else None
        try:
            source = path.read_text("utf-8") if path.is_file() else source
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerError(f"{path}: {error}", hint="restore it, or delete it to use the usual one") from None
        return None if source is None else cls(source, named_tokens(settings))

    def save(self, directory: Path, end: str) -> None:
        """Write the template into a model's directory, and say that `end` is the token that ends an answer."""
        storage.write_text(directory / FILE, self.source)
        settings = storage.read_json(directory / SETTINGS, TokenizerError)
        changed = {**settings, **{name: value for name, value in self.tokens.items() if value}, "eos_token": end}
        others = [name for name in settings.get("additional_special_tokens", ()) if name != end]
        storage.write_json(directory / SETTINGS, changed | {"additional_special_tokens": others})

    def render(self, messages: Sequence[Message], *, begin_answer: bool = False, marked: bool = False) -> str:
        """Write the turns as transformers' `apply_chat_template` does, and with `begin_answer` the next one's start.

        `marked` puts `ANSWER` and `OVER` around what the template calls generation. Raises `TokenizerError` in the
        words of the template where it refuses the turns.
        """
        try:
            text = _compiled(self.source).render(
                messages=list(messages), add_generation_prompt=begin_answer, tools=None, documents=None, **self.tokens
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            place = f", line {line}" if (line := getattr(error, "lineno", None)) else ""
            raise TokenizerError(
                f"the chat template{place}: {error}", hint="mend the turns or the template (chat_template.jinja)"
            ) from None
        return text if marked else text.replace(ANSWER, "").replace(OVER, "")

    @property
    def marks_answers(self) -> bool:
        """Tell whether the template itself says what the model writes, by `{% generation %}`."""
        return any("generation" in line for line in self.source.split("{%")[1:]) and "endgeneration" in self.source


def named_tokens(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens that a `tokenizer_config.json` names; each is a text, or a table with its `content`."""
    found = {name: settings.get(name) for name in NAMES}
    plain = {name: value.get("content") if isinstance(value, dict) else value for name, value in found.items()}
    return {name: value for name, value in plain.items() if isinstance(value, str)}


def _named_default(value: Any) -> str | None:
    """Return a template; of several with names, the one called `default`."""
    if isinstance(value, list):
        value = next((one.get("template") for one in value if one.get("name") == "default"), None)
    return value if isinstance(value, str) else None


@cache
def _compiled(source: str) -> Template:
    """Compile a template in the environment that transformers gives it."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _as_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


class _Generation(Extension):
    """`{% generation %}` around what the model writes."""

    tags = {"generation"}  # noqa: RUF012 - as jinja wants it

    def parse(self, parser: Parser) -> nodes.Node:
        """Surround the block with marks."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    @staticmethod
    def _marked(caller: Callable[[], str]) -> str:
        return f"{ANSWER}{caller()}{OVER}"


def _refuse(words: str) -> None:
    raise TemplateError(words)


def _as_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    # the filter that comes with jinja escapes what HTML would misread
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)
