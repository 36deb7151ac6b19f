"""What a `tokenizer.json` says: the engine that it describes, the bytes of each token, and whether text survives it.

Four kinds are read. Byte-level BPE (ours, GPT-2's, Llama 3's) keeps every byte. BPE and Unigram with `▁` for a space
(SentencePiece's, Llama 2's, T5's) and WordPiece (BERT's) may change a text before they cut it, and may not know it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, decoders, models, pre_tokenizers, processors
from tokenizers import Tokenizer as Engine

from textus.errors import TokenizerError
from textus.tokenizer.alphabet import BYTES, to_bytes
from textus.tokenizer.beside import Beside
from textus.tokenizer.words import SPLIT

END, MASK, TURN_START, TURN_END = "<|endoftext|>", "<mask>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END, MASK, TURN_START, TURN_END)
"""The special tokens of a tokenizer of ours; their ids are 0, 1, 2, 3."""
KINDS = ("BPE", "WordPiece", "Unigram")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


@dataclass(frozen=True)
class Content:
    """A `tokenizer.json` that has been read."""

    engine: Engine
    kind: str
    """`byte-level BPE`, `BPE`, `WordPiece` or `Unigram`."""
    token_bytes: dict[int, bytes]
    special: dict[int, str]
    """The tokens that are marked as special, with their names."""
    is_lossless: bool
    """Whether every text comes back as it was, so that a loss per byte means something."""


def read(text: str) -> Content:
    """Read the text of a `tokenizer.json`; raise `TokenizerError` for what is none, or of a kind not known."""
    try:
        values = json.loads(text)
        kind = str(values["model"].get("type") or _guess(values["model"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TokenizerError("not a tokenizer.json", hint="delete it and make it again") from None
    if kind not in KINDS:
        raise TokenizerError(f"a {kind} tokenizer; known are {', '.join(KINDS)}", hint="train one on your text")
    try:
        engine = Engine.from_str(text)
    except Exception as error:  # the library raises plain `Exception` for whatever it cannot read
        raise TokenizerError(f"not a tokenizer.json: {error}", hint="delete it and make it again") from None
    engine.no_truncation()
    engine.no_padding()
    engine.encode_special_tokens = True
    added = engine.get_added_tokens_decoder()
    names = {token: name for name, token in engine.get_vocab(with_added_tokens=False).items() if token not in added}
    is_byte_level = kind == "BPE" and _names_byte_level(values)
    if is_byte_level:
        kind = "byte-level BPE"
    bytes_of = {token: entry.content.encode() for token, entry in added.items()}
    bytes_of |= {token: _bytes_of(name, kind, values) for token, name in names.items()}
    if sorted(bytes_of) != list(range(len(bytes_of))):
        raise TokenizerError(
            f"the {len(bytes_of)} token ids have gaps", hint="number the tokens from 0 without leaving any out"
        )
    special = {token: entry.content for token, entry in sorted(added.items()) if entry.special}
    keeps = values.get("normalizer") is None and set(BYTES) <= set(names.values()) and not _prefixes(values)
    return Content(engine, kind, bytes_of, special, is_byte_level and keeps)


@dataclass(frozen=True)
class Framing:
    """What a tokenizer puts around a text by itself."""

    before: tuple[int, ...] = ()
    """One token at most."""
    behind: tuple[int, ...] = ()


def framing(engine: Engine, beside: Beside) -> Framing:
    """Return what is put around a text: what the settings beside the engine say, or else what it does.

    Raises `TokenizerError` where that is more than one token before the text.
    """
    said = {end: beside.settings.get(f"add_{end}_token") for end in ("bos", "eos")}
    if any(value is not None for value in said.values()):
        named = {end: engine.token_to_id(beside.name_of(f"{end}_token")) for end, wanted in said.items() if wanted}
        found = {end: (token,) for end, token in named.items() if token is not None}
        return Framing(found.get("bos", ()), found.get("eos", ()))
    plain, framed = (engine.encode("a", add_special_tokens=special).ids for special in (False, True))
    start = next((at for at in range(len(framed)) if framed[at : at + len(plain)] == plain), 0)
    if start > 1:
        raise TokenizerError(
            f"it puts {start} tokens before each text, and one can be kept there",
            hint="take the others out of the post_processor in tokenizer.json, and write them yourself",
        )
    return Framing(tuple(framed[:start]), tuple(framed[start + len(plain) :]))


def untrained() -> Engine:
    """Return an engine with our split, decoder and no vocabulary yet."""
    return _ours(models.BPE(ignore_merges=True))


def trained(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> str:
    """Write the `tokenizer.json` of a vocabulary of ours, special tokens included."""
    engine = _ours(models.BPE(vocabulary, merges, ignore_merges=True))
    engine.add_special_tokens(list(SPECIAL_TOKENS))
    return finish(engine)


def finish(engine: Engine) -> str:
    """Write the `tokenizer.json` of a trained engine, which puts END before every text, as training does."""
    engine.post_processor = processors.TemplateProcessing(
        single=f"{END} $A",
        pair=f"{END} $A {END} $B",
        special_tokens=[(END, engine.token_to_id(END))],
    )
    return str(engine.to_str(pretty=True))


def with_special(text: str, names: Sequence[str]) -> str:
    """Return the text of a `tokenizer.json` with further special tokens, numbered behind all others."""
    engine = Engine.from_str(text)
    engine.add_special_tokens(list(names))
    return str(engine.to_str(pretty=True))


def _ours(model: models.Model) -> Engine:
    # llama.cpp takes a word that is a token whole, without merging, whenever the split is `llama-bpe`; so do we.
    engine = Engine(model)
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    engine.decoder = decoders.ByteLevel()
    return engine


def splits_as_ours(text: str) -> bool:
    """Tell whether the text of a `tokenizer.json` cuts words by `SPLIT`, with nothing before it and all bytes known."""
    values, ours = json.loads(text), json.loads(untrained().to_str())
    return (
        values.get("normalizer") is None
        and values["pre_tokenizer"] == ours["pre_tokenizer"]
        and set(BYTES) <= set(values["model"]["vocab"])
        and all(token["special"] for token in values["added_tokens"])
    )


def _guess(model: dict[str, Any]) -> str:
    """Tell the kind of a model in a file of a library so old that it did not write it."""
    return "BPE" if "merges" in model else "Unigram" if isinstance(model["vocab"], list) else "WordPiece"


def _names_byte_level(values: dict[str, Any]) -> bool:
    return any('"ByteLevel"' in json.dumps(values.get(part)) for part in ("pre_tokenizer", "decoder"))


def _prefixes(values: dict[str, Any]) -> bool:
    """Tell whether a space is put before every text."""
    return '"add_prefix_space": true' in json.dumps(values.get("pre_tokenizer"))


def _bytes_of(name: str, kind: str, values: dict[str, Any]) -> bytes:
    """Return the bytes that a token stands for inside a text; a word's first token carries the space before it."""
    if kind == "byte-level BPE":
        try:
            return to_bytes(name)
        except KeyError:
            raise TokenizerError(
                f"the token {name!r} is no string of bytes, though the file says byte-level",
                hint="train one on your text",
            ) from None
    if kind == "WordPiece":
        prefix = values["model"].get("continuing_subword_prefix", "##")
        return name.removeprefix(prefix).encode() if prefix and name.startswith(prefix) else b" " + name.encode()
    if values["model"].get("byte_fallback") and (byte := _BYTE.fullmatch(name)):
        return bytes([int(byte[1], 16)])
    return name.replace(_SPACE, " ").encode("utf-8", "replace")
