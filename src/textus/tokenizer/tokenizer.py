"""The tokenizer: text to tokens, tokens to text, and one `tokenizer.json` that is all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Engine

from textus import fingerprint, storage
from textus.errors import TokenizerError
from textus.progress import SILENT, Progress
from textus.tokenizer import boundaries, encoders, fast
from textus.tokenizer.beside import Beside
from textus.tokenizer.content import (
    END,
    MASK,
    SPECIAL_TOKENS,
    framing,
    read,
    splits_as_ours,
    untrained,
    with_special,
)
from textus.tokenizer.content import finish as finish_content
from textus.tokenizer.foreign import FILE, content_of, read_text
from textus.tokenizer.stream import StreamDecoder
from textus.tokenizer.words import WordEncoder, words

_ENDS = (END, "</s>", "<eos>", "<|end_of_text|>", "[SEP]")
_MASKS = (MASK, "[MASK]")
"""What others call these two, in files that are imported."""
_GROUP_CHARACTERS = 1 << 21
"""How much text is encoded at once: enough for every core, little enough to bound the memory."""


class Tokenizer:
    """Text to tokens and back. Ours is a byte-level BPE: nothing is unknown to it and nothing is lost.

    The content of `tokenizer.json` is the tokenizer: it is what is saved, and its SHA-256 is the fingerprint. Files of
    other kinds are read too (WordPiece, Unigram, BPE on characters): what they lose is lost, and `is_lossless` says so.
    What a directory says `beside` it (which tokens begin and end a text, a chat template) goes along.
    """

    def __init__(self, content: str, beside: Beside = Beside()) -> None:  # noqa: B008 - frozen
        found = read(content)
        self._content = content
        self._beside = beside
        self._engine = found.engine
        self._bytes = found.token_bytes
        self.kind = found.kind
        """`byte-level BPE`, `BPE`, `WordPiece` or `Unigram`."""
        self.special = frozenset(found.special)
        """The tokens that no text is ever encoded to."""
        self._framing = framing(found.engine, beside)
        self.is_lossless = found.is_lossless
        """Whether every text comes back byte for byte; without it, bits per byte of a text mean nothing."""
        self.encoder = "builtin"
        """What encodes: `builtin`, or an engine that was put to `use`; the tokens are the same."""
        # Looking words up is exact for our own split only; with another one, text goes to the engine whole.
        self._is_ours = splits_as_ours(content)
        own = WordEncoder(encoders.by_word(self._engine)).encode_batch if self._is_ours else None
        self._trusted = encoders.guarded(self._engine, found.special)
        self._builtin = self._encode = own or self._trusted

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.json`, or the one in a directory; raise `TokenizerError` when it is missing or damaged."""
        beside = Beside.read(path) if path.is_dir() else Beside()
        try:
            return cls(content_of(path, beside) if path.is_dir() else read_text(path), beside)
        except TokenizerError as error:
            place = path / FILE if path.is_dir() else path
            said = error.message.startswith(str(path))
            raise TokenizerError(error.message if said else f"{place}: {error.message}", hint=error.hint) from None

    def save(self, directory: Path, context_length: int | Literal["unlimited"] = "unlimited") -> None:
        """Write `tokenizer.json`, and `tokenizer_config.json` that `transformers.AutoTokenizer` opens it by."""
        here = {self._name(token) for token in {self.end, *self.special}}
        begin, end, masks = self._name(self.begin), self._name(self.end), [name for name in _MASKS if name in here]
        settings: dict[str, object] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": begin,
            "eos_token": end,
            "pad_token": end,
            "additional_special_tokens": sorted(here - {begin, end, *masks}),
            "clean_up_tokenization_spaces": False,
        }
        if masks:
            settings["mask_token"] = masks[0]
        if context_length != "unlimited":
            settings["model_max_length"] = context_length
        storage.write_text(directory / FILE, self._content)
        self._beside.write(directory, settings, self.stops)

    @property
    def content(self) -> str:
        """Return the text of `tokenizer.json`."""
        return self._content

    def with_content(self, content: str) -> Tokenizer:
        """Return a tokenizer of another content, with what its directory says beside it."""
        return Tokenizer(content, self._beside)

    @property
    def vocab_size(self) -> int:
        """Count all tokens, special ones included; ids run from 0 to this, excluded."""
        return len(self._bytes)

    @property
    def begin(self) -> int:
        """Return the token that stands before each document: END, unless the tokenizer puts another there."""
        return self._framing.before[0] if self._framing.before else self.end

    @property
    def end(self) -> int:
        """Return the token that stands after each document."""
        if self._framing.behind:
            return self._framing.behind[-1]
        return self._named((*_ENDS, self._beside.name_of("eos_token")))

    @property
    def padding(self) -> int:
        """Return the token that fills rows up; END where none is meant for that."""
        token = self._engine.token_to_id(self._beside.name_of("pad_token"))
        return self.end if token is None else int(token)

    @property
    def stops(self) -> tuple[int, ...]:
        """Return the tokens besides END at which writing ends, by what the model's directory says."""
        named = self._engine.token_to_id(self._beside.name_of("eos_token"))
        listed = (*self._beside.ends, *(() if named is None else (named,)))
        return tuple(token for token in dict.fromkeys(listed) if token != self.end and token in self._bytes)

    def frame(self, tokens: Sequence[int]) -> list[int]:
        """Return the tokens of a text with those that the tokenizer puts around it; END, where it puts none before."""
        return [self.begin, *tokens, *self._framing.behind]

    @property
    def mask(self) -> int:
        """Return the token that hides another."""
        return self._named(_MASKS)

    @property
    def fingerprint(self) -> str:
        """Hash the content: `sha256sum tokenizer.json` prints the same."""
        return fingerprint.of_text(self._content)

    def use(self, encoder: str, progress: Progress = SILENT) -> None:
        """Encode with another engine from now on, as the setting `tokenizer.encoder` says; the tokens stay the same.

        `auto` takes the first that is installed and passes a test of its tokens; of those that fail `progress` is told.
        One that is asked for by name and cannot be had raises `TokenizerError`.
        """
        self.encoder, self._encode = fast.choose(encoder, self._content, self._builtin, self._trusted, progress)

    def with_special(self, names: Sequence[str]) -> Tokenizer:
        """Return a tokenizer that has these special tokens too; the numbers of all others stay."""
        return Tokenizer(with_special(self._content, names), self._beside) if names else self

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`, and none besides; text that looks like a special token is ordinary text.

        Lone surrogates, which are no characters, become U+FFFD.
        """
        tokens: list[int] = self._encode([well_formed(text)])[0].tolist()
        return tokens

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint32]]:
        """Return the tokens of each text as uint32: the same tokens as `encode`'s."""
        return [tokens for group in _groups(map(well_formed, texts)) for tokens in self._encode(group)]

    def decode(self, tokens: Iterable[int], skip_special: bool = False) -> str:
        """Return the text of `tokens`; bytes that are no UTF-8 become U+FFFD."""
        known = (int(token) for token in tokens)
        if skip_special:
            known = (token for token in known if token not in self.special)
        text = b"".join(map(self.token_bytes, known)).decode("utf-8", "replace")
        return text if self.kind == "byte-level BPE" else text.removeprefix(" ")

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

    def word_starts(self, tokens: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell of each token whether a word begins with it, as text is cut into words before merging.

        >>> from textus.tokenizer.content import trained
        >>> from textus.tokenizer.alphabet import BYTES
        >>> names = ["<|endoftext|>", "<mask>", "<|im_start|>", "<|im_end|>", *sorted(BYTES)]
        >>> bytewise = Tokenizer(trained({name: token for token, name in enumerate(names)}, []))
        >>> bytewise.word_starts([0, *bytewise.encode("It's so")]).astype(int).tolist()
        [1, 1, 0, 1, 0, 1, 0, 0]
        """
        given = np.asarray(tokens, np.int64)
        if self.kind != "byte-level BPE":
            return boundaries.starts_by_mark(given, self._bytes, self.special)
        return boundaries.starts_by_cut(given, self._bytes, self.special, self._word_sizes)

    def _word_sizes(self, text: str) -> Iterator[int]:
        if self._is_ours:
            return (len(word.encode()) for part in words(text) for word in part)
        # each byte is one character in the alphabet of a byte-level tokenizer
        before = self._engine.pre_tokenizer
        return (len(word) for word, _ in before.pre_tokenize_str(text)) if before else iter([len(text.encode())])

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

    def _name(self, token: int) -> str:
        return self._bytes[token].decode().strip()

    def _named(self, names: Sequence[str]) -> int:
        found = (self._engine.token_to_id(name) for name in names if name)
        token = next((token for token in found if token is not None), None)
        if token is None:
            raise TokenizerError(
                f"the tokenizer has no token `{names[0]}`", hint="train a tokenizer with `textus tokenize`"
            )
        return int(token)

    def __repr__(self) -> str:
        return f"Tokenizer({self.vocab_size} tokens, {fingerprint.short(self.fingerprint)})"


def finish(engine: Engine) -> Tokenizer:
    """Make a `Tokenizer` of a trained engine: put END before every text, as training does, and freeze its content."""
    return Tokenizer(finish_content(engine))


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= _GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group


def well_formed(text: str) -> str:
    """Return `text` with pairs of surrogates joined and lone ones replaced; nearly always `text` itself."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


__all__ = ["END", "FILE", "MASK", "SPECIAL_TOKENS", "Tokenizer", "finish", "untrained", "well_formed"]
