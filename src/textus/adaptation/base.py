"""The model that an adaptation begins with, and how its turns are written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from textus import fingerprint
from textus.adaptation.vocabulary import begin_at_mean, grown
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ConfigError, InputError
from textus.tokenizer.content import TURN_END, TURN_START
from textus.tokenizer.template import ChatTemplate
from textus.tokenizer.turns import Turns, missing


@dataclass(frozen=True, eq=False)
class Base:
    """A causal model that is about to be adapted."""

    opened: Checkpoint
    """With rows for every token that its turns need."""
    turns: Turns
    fingerprint: str
    """Hash of the weights on disk, and of what is done with them."""
    new_tokens: tuple[int, ...]
    """Tokens of the turns that the model has never seen; they begin at the mean of all others."""
    added: tuple[str, ...] = ()
    """Those of them that its vocabulary lacked."""

    @property
    def directory(self) -> Path:
        """Return where the model lies."""
        return self.opened.directory


def fingerprint_of(directory: Path) -> str:
    """Hash the weights of a model directory and its config: an adapter belongs to these."""
    names = (checkpoint.CONFIG, checkpoint.WEIGHTS)
    return fingerprint.of_parts(fingerprint.of_file(directory / name) for name in names)


def open_base(directory: Path, template: str = "", device: str = "cpu") -> Base:
    """Open a model to be taught turns, as its own template writes them, or the one in the file `template`.

    Raises `ConfigError` for a model that does not write from left to right.
    """
    checkpoint.read_config(directory)  # refuses what predicts no tokens
    opened = checkpoint.load(directory, device)
    if (opened.config.attention, opened.config.prediction_offset) != ("causal", 1):
        raise ConfigError(
            f"{directory}: this model reads both ways and cannot write answers",
            hint="give a causal model; to give this one a head, --method classify, tag or embed",
        )
    own = ChatTemplate.load(directory)
    chosen = own if not template else _read(Path(template), own)
    added = missing(chosen, opened.tokenizer)
    tokenizer = opened.tokenizer.with_special(added)
    model = grown(opened.model, tokenizer.vocab_size)
    turns = Turns.of(chosen, tokenizer)
    # a vocabulary of ours has these from the beginning, but no text is ever encoded to them
    named = {tokenizer.token_bytes(token).decode(): token for token in tokenizer.special}
    new = tuple(named[name] for name in (TURN_START, TURN_END)) if own is None and chosen is None else ()
    begin_at_mean(model, new)
    ready = replace(opened, model=model, tokenizer=tokenizer)
    assert turns.end < model.config.vocab_size
    return Base(ready, turns, fingerprint_of(directory), new, tuple(added))


def _read(path: Path, own: ChatTemplate | None) -> ChatTemplate:
    try:
        source = path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the path of the chat template") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}", hint="write the template as UTF-8") from None
    return ChatTemplate(source, own.tokens if own else {})
