"""The tokenizer: text to tokens, tokens to text, and one `tokenizer.json` that is all of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, decoders, models, pre_tokenizers, processors
from tokenizers import Tokenizer as Engine

from textus import fingerprint, storage
from textus.errors import TokenizerError
from textus.tokenizer.stream import StreamDecoder
from textus.tokenizer.words import SPLIT, WordEncoder, plain_runs

END, MASK, TURN_START, TURN_END = "<|endoftext|>", "<mask>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END, MASK, TURN_START, TURN_END)
"""The special tokens of a tokenizer of ours; their ids are 0, 1, 2, 3."""
FILE = "tokenizer.json"
_GROUP_CHARACTERS = 1 << 21
"""How much text the engine is given at once: enough for every core, little enough to bound its memory."""


class Tokenizer:
    """A byte-level BPE: every text has tokens, every token has bytes, nothing is unknown and nothing is lost.

    The content of `tokenizer.json` is the tokenizer: it is what is saved, and its SHA-256 is the fingerprint.
    """

    def __init__(self, content: str) -> None:
        self._content = content
        self._engine = _engine(content)
        # Looking words up is exact for our own split only; with another one, text goes to the engine whole.
        self._words = WordEncoder(self._encode_word) if _splits_as_ours(content) else None
        special = {token: added.content for token, added in self._engine.get_added_tokens_decoder().items()}
        self._special = frozenset(special)
        self._bytes = {token: text.encode() for token, text in special.items()}
        self._bytes |= {
            token: _to_bytes(text)
            for text, token in self._engine.get_vocab(with_added_tokens=False).items()
            if token not in special
        }
        if sorted(self._bytes) != list(range(len(self._bytes))):
            raise TokenizerError(
                f"the {len(self._bytes)} token ids have gaps", hint="number the tokens from 0 without leaving any out"
            )

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.json`, or the one in a directory; raise `TokenizerError` when it is missing or damaged."""
        path = path / FILE if path.is_dir() else path
        try:
            return cls(path.read_text("utf-8"))
        except OSError as error:
            raise TokenizerError(
                f"{path}: {error.strerror}", hint="give a model or tokenizer directory, or a tokenizer.json"
            ) from None
        except UnicodeDecodeError:
            raise TokenizerError(f"{path}: damaged: not UTF-8", hint="delete it and make it again") from None
        except TokenizerError as error:
            raise TokenizerError(f"{path}: {error.message}", hint=error.hint) from None

    def save(self, directory: Path, context_length: int | Literal["unlimited"] = "unlimited") -> None:
        """Write `tokenizer.json`, and `tokenizer_config.json` that `transformers.AutoTokenizer` opens it by."""
        here = {self.token_bytes(token).decode() for token in {self.end, *self._special}}
        settings: dict[str, object] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END,
            "eos_token": END,
            "pad_token": END,
            "additional_special_tokens": sorted(here - {END, MASK}),
            "clean_up_tokenization_spaces": False,
        }
        if MASK in here:
            settings["mask_token"] = MASK
        if context_length != "unlimited":
            settings["model_max_length"] = context_length
        storage.write_text(directory / FILE, self._content)
        storage.write_json(directory / "tokenizer_config.json", settings)

    @property
    def vocab_size(self) -> int:
        """Count all tokens, special ones included; ids run from 0 to this, excluded."""
        return len(self._bytes)

    @property
    def end(self) -> int:
        """Return the token that stands before and after each document."""
        return self._special_token(END)

    @property
    def mask(self) -> int:
        """Return the token that hides another."""
        return self._special_token(MASK)

    @property
    def special(self) -> frozenset[int]:
        """Return the tokens that no text is ever encoded to."""
        return self._special

    @property
    def fingerprint(self) -> str:
        """Hash the content: `sha256sum tokenizer.json` prints the same."""
        return fingerprint.of_text(self._content)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`, and none besides; text that looks like a special token is ordinary text.

        Lone surrogates, which are no characters, become U+FFFD.
        """
        return list(chain.from_iterable(self._encode_runs(self._runs(text))))

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint32]]:
        """Return the tokens of each text as uint32: the same tokens as `encode`'s."""
        runs = [list(self._runs(text)) for text in texts]
        encoded = self._encode_runs(chain.from_iterable(runs))
        return [np.fromiter(chain.from_iterable(islice(encoded, len(part))), np.uint32) for part in runs]

    def decode(self, tokens: Iterable[int], skip_special: bool = False) -> str:
        """Return the text of `tokens`; bytes that are no UTF-8 become U+FFFD."""
        known = (int(token) for token in tokens)
        if skip_special:
            known = (token for token in known if token not in self._special)
        return b"".join(map(self.token_bytes, known)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for; for a special token, its name."""
        try:
            return self._bytes[token]
        except KeyError:
            raise TokenizerError(
                f"no token {token}: there are {self.vocab_size}, numbered from 0",
                hint="use the tokenizer that made the tokens",
            ) from None

    def token_text(self, token: int) -> str:
        """Return a token as people can read it: line breaks, control characters and loose bytes escaped."""
        text = self.token_bytes(token).decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

    def stream(self) -> StreamDecoder:
        """Return a decoder that takes one token at a time."""
        return StreamDecoder(self.token_bytes)

    def bytes_per_token(self, texts: Iterable[str]) -> float:
        """Measure how many bytes of UTF-8 a token holds on average: the compression that the vocabulary reaches."""
        num_bytes = num_tokens = 0
        for text in texts:
            num_bytes += len(well_formed(text).encode())
            num_tokens += len(self.encode(text))
        if not num_tokens:
            raise TokenizerError("no text to measure bytes per token on", hint="give a text that is not empty")
        return num_bytes / num_tokens

    def _runs(self, text: str) -> Iterator[tuple[str, bool]]:
        """Cut a text into pieces to be encoded apart, each with whether its words can be looked up."""
        text = well_formed(text)
        return plain_runs(text) if self._words else iter([(text, False)])

    def _encode_runs(self, runs: Iterable[tuple[str, bool]]) -> Iterator[Iterable[int]]:
        """Yield the tokens of each piece; those that go to the engine go many at a time, for it uses all cores."""
        for group in _groups(runs):
            rest = self._engine.encode_batch_fast(
                [text for text, plain in group if not plain], add_special_tokens=False
            )
            encodings = iter(rest)
            for text, plain in group:
                if plain:
                    assert self._words
                    yield self._words.encode(text)
                else:
                    yield next(encodings).ids

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return tuple(self._engine.encode(word, add_special_tokens=False).ids)

    def _special_token(self, text: str) -> int:
        token = self._engine.token_to_id(text)
        if token is None:
            raise TokenizerError(
                f"the tokenizer has no token `{text}`", hint="train a tokenizer with `textus tokenize`"
            )
        return int(token)

    def __repr__(self) -> str:
        return f"Tokenizer({self.vocab_size} tokens, {fingerprint.short(self.fingerprint)})"


def untrained() -> Engine:
    """Return an engine with our split, decoder and no vocabulary yet."""
    # llama.cpp takes a word that is a token whole, without merging, whenever the split is `llama-bpe`; so do we.
    engine = Engine(models.BPE(ignore_merges=True))
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    engine.decoder = decoders.ByteLevel()
    return engine


def finish(engine: Engine) -> Tokenizer:
    """Make a `Tokenizer` of a trained engine: put END before every text, as training does, and freeze its content."""
    engine.post_processor = processors.TemplateProcessing(
        single=f"{END} $A",
        pair=f"{END} $A {END} $B",
        special_tokens=[(END, engine.token_to_id(END))],
    )
    return Tokenizer(engine.to_str(pretty=True))


def _engine(content: str) -> Engine:
    try:
        model = json.loads(content)["model"]["type"]
    except (ValueError, TypeError, KeyError):
        raise TokenizerError("not a tokenizer.json", hint="delete it and make it again") from None
    if model != "BPE":
        raise TokenizerError(f"a {model} tokenizer; only byte-level BPE is known", hint="train one on your text")
    try:
        engine = Engine.from_str(content)
    except Exception as error:  # the library raises plain `Exception` for whatever it cannot read
        raise TokenizerError(f"not a tokenizer.json: {error}", hint="delete it and make it again") from None
    engine.no_truncation()
    engine.no_padding()
    engine.encode_special_tokens = True
    return engine


def _splits_as_ours(content: str) -> bool:
    values, ours = json.loads(content), json.loads(untrained().to_str())
    return values.get("normalizer") is None and values.get("pre_tokenizer") == ours["pre_tokenizer"]


def _groups(runs: Iterable[tuple[str, bool]]) -> Iterator[list[tuple[str, bool]]]:
    group: list[tuple[str, bool]] = []
    size = 0
    for run in runs:
        group.append(run)
        size += len(run[0])
        if size >= _GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _to_bytes(text: str) -> bytes:
    try:
        return bytes(map(_BYTES.__getitem__, text))
    except KeyError:
        raise TokenizerError(
            f"the token {text!r} is no string of bytes; only byte-level BPE is known", hint="train one on your text"
        ) from None


def well_formed(text: str) -> str:
    """Return `text` with pairs of surrogates joined and lone ones replaced; nearly always `text` itself."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _byte_characters() -> dict[str, int]:
    """Map the characters that stand for bytes in `tokenizer.json` to the bytes, as GPT-2 laid down."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + rank): byte for rank, byte in enumerate(hidden)}


_BYTES = _byte_characters()
