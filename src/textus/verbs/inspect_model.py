"""What a model is, in a few lines: its family and shape, its tokenizer, and what of its directory is not read."""

from __future__ import annotations

from typing import Any

from textus.checkpoint.checkpoint import Checkpoint
from textus.model.family import TRAITS
from textus.tokenizer.tokenizer import Tokenizer


def described(opened: Checkpoint) -> dict[str, Any]:
    """Return what there is to know of a model before it is used."""
    config = opened.config
    shape = {
        "family": TRAITS[config.family].name,
        "parameters": config.num_parameters(),
        "layers x hidden size": f"{config.num_layers} x {config.hidden_size}",
        "heads (key and value)": f"{config.num_heads} ({config.num_kv_heads}) of {config.head_size}",
        "feed-forward": config.intermediate_size,
        "context": config.context_length,
        "vocabulary": config.vocab_size,
        "attention": config.attention,
    }
    if config.window:
        local = sum(config.is_local(layer) for layer in range(config.num_layers))
        shape["local layers"] = f"{local}, which see {config.window} positions"
    shape["tokenizer"] = _tokenizer(opened.tokenizer)
    shape["texts begin and end with"] = _ends(opened.tokenizer)
    if opened.left_out:
        shape["left out"] = _listed(opened.left_out)
    return shape


def _tokenizer(tokenizer: Tokenizer) -> str:
    keeps = "" if tokenizer.is_lossless else ", which changes some texts"
    return f"{tokenizer.kind}, {tokenizer.vocab_size} tokens{keeps}"


def _ends(tokenizer: Tokenizer) -> str:
    named = [tokenizer.token_text(token) for token in (tokenizer.begin, tokenizer.end)]
    stops = [tokenizer.token_text(token) for token in tokenizer.stops]
    return " ".join(named) + (f", writing also with {' '.join(stops)}" if stops else "")


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
