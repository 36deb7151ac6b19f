"""Other engines that encode, where they are installed: each is tested against `tokenizers` before it is trusted.

Their packages are the extra `fast`. None is needed, and none changes a token: an engine that gives other tokens for any
of some hundred texts, or does not know this kind of tokenizer, is not used, and the reason is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from textus.errors import TokenizerError
from textus.progress import SILENT, Progress
from textus.tokenizer import encoders
from textus.tokenizer.alphabet import to_bytes
from textus.tokenizer.content import SPECIAL_TOKENS, read, splits_as_ours
from textus.tokenizer.encoders import Encode, Tokens
from textus.tokenizer.words import SPLIT, class_borders


def choose(
    name: str, content: str, builtin: Encode, trusted: Encode, progress: Progress = SILENT
) -> tuple[str, Encode]:
    """Return the name and the function of the encoder that `name`, `builtin`, `auto` or an engine, stands for.

    `trusted` gives the tokens that any other must give: `tokenizers` itself, made from the same content.
    """
    if name == "builtin":
        return name, builtin
    if name != "auto":
        encode = _made(name, content, trusted)
        if isinstance(encode, str):
            raise TokenizerError(
                f"tokenizer.encoder = {name} cannot be used: {encode}", hint="set tokenizer.encoder to auto or builtin"
            )
        return name, encode
    for engine in _IN_ORDER:
        if find_spec(engine) is not None:
            encode = _made(engine, content, trusted)
            if not isinstance(encode, str):
                return engine, encode
            progress.say(f"encoder {engine} is not used: {encode}")
    return "builtin", builtin


def _made(name: str, content: str, trusted: Encode) -> Encode | str:
    """Return an engine that has passed the test, or why there is none."""
    if find_spec(name) is None:
        return "it is not installed (pip install 'textus[fast]')"
    try:
        encode = _ENGINES[name](content)
        wrong = difference(encode, trusted)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in Rust is no `Exception`, and each of them has errors of its own
        first = next(iter(str(error).splitlines()), "")
        return f"{type(error).__name__}: {first}"
    return encode if wrong is None else f"it gives other tokens for {wrong!r}"


def difference(encode: Encode, trusted: Encode) -> str | None:
    """Return the first text of the test for which the two give different tokens."""
    texts = samples()
    for text, expected, found in zip(texts, trusted(texts), encode(texts), strict=True):
        if not np.array_equal(expected, found):
            return text[:80]
    return None


def samples() -> list[str]:
    """Return the texts of the test: what tokenizers differ in, and every border of a class of characters."""
    kinds = ["a", "A", "é", "ſ", "中", "я", "한", "1", "½", "Ⅷ", "'", "_", "-", "\u0301", "\u200d", "🦙", "\x00", "�"]
    spaces = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\n ", "\u00a0", "\u2028", "\u3000", "\x1c", "\x85"]
    texts = ["", *kinds, *spaces, *SPECIAL_TOKENS, "<s></s>[CLS][SEP][MASK]<unk>", "a<|endoftext|>b <mask>"]
    texts += [f"{one}{space}{two}" for space in spaces for one, two in (("a", "b"), ("1", "."), (".", "中"), ("", "x"))]
    texts += [f"{one}{two}{one}" for one in kinds for two in ("a", "1", ".", "'s")]
    texts += ["I'm you'RE they'll he'd 'Tis rock'n'roll 's'S'ſ", "1 12 123 1234 12345678901 3.14e-10 ٣٤٥ １２３"]
    texts += ["def f(x):\n    return x ** 2  # square\n\n\tif not x:\r\n\t\tpass\n", "<p class='a'>&amp;</p>\n" * 3]
    texts += [
        "Größe, où ça? Señor; Привет, мир! 你好，世界。こんにちは שלום مرحبا नमस्ते ไทย 🦙🚀👩‍👩‍👧",
        "the " * 100,
        "ab" * 300,
    ]
    texts += [
        "e\u0301 = é, ﬁ ﬀ ß ẞ İ ı Ǆ K Å",
        "x" * 200,
        " " * 200,
        "\n" * 50,
        "!" * 70,
        "=" * 9 + "\n" + "-" * 9,
        "\ufeffBOM",
    ]
    borders = class_borders()
    for start in range(0, len(borders), 200):
        part = borders[start : start + 200]
        texts += ["".join(f" {one}a" for one in part), "".join(f"a{one}1" for one in part), "".join(part)]
    return texts


_WORTH_THREADS = 64_000_000
"""Characters from which on gigatoken gets texts together: it uses all cores then, but first loads `awkward`, 0.3 s."""


def _gigatoken(content: str) -> Encode:
    import gigatoken

    values = json.loads(content)
    values["added_tokens"] = []  # it would make special tokens of their names in a text
    backend = gigatoken.Tokenizer.from_json(json.dumps(values)).backend

    done = 0

    def encode(texts: Sequence[str]) -> list[Tokens]:
        nonlocal done
        done += sum(map(len, texts))
        if done < _WORTH_THREADS:
            return [backend.encode(text) for text in texts]
        rows = backend.encode_batch(list(texts)).layout
        return _cut(np.asarray(rows.content.data), np.asarray(rows.offsets.data))

    return encode


def _tiktoken(content: str) -> Encode:
    import tiktoken

    if not splits_as_ours(content):
        raise TokenizerError("it takes our own split only")
    ranks = json.loads(content)["model"]["vocab"]
    known = {to_bytes(name): token for name, token in ranks.items() if name not in SPECIAL_TOKENS}
    encoding = tiktoken.Encoding("textus", pat_str=SPLIT, mergeable_ranks=known, special_tokens={})
    return lambda texts: [np.array(encoding.encode_ordinary(text), np.uint32) for text in texts]


def _fastokens(content: str) -> Encode:
    import fastokens

    tokenizer = fastokens.Tokenizer.from_json_str(content)

    def encode(texts: Sequence[str]) -> list[Tokens]:
        tokens, offsets = tokenizer.encode_batch_flat(list(texts), split_special_tokens=True)
        return _cut(np.frombuffer(tokens, np.uint32), np.frombuffer(offsets, np.uint64))

    return encode


def _tokenizers(content: str) -> Encode:
    found = read(content)
    return encoders.guarded(found.engine, found.special)


def _cut(tokens: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> list[Tokens]:
    ends = offsets.tolist()
    return [tokens[start:stop].astype(np.uint32, copy=False) for start, stop in pairwise(ends)]


_ENGINES: Mapping[str, Callable[[str], Encode]] = {
    "gigatoken": _gigatoken,
    "fastokens": _fastokens,
    "tiktoken": _tiktoken,
    "tokenizers": _tokenizers,
}
_IN_ORDER = ("gigatoken", "fastokens", "tiktoken")
"""The fastest first, as measured in benchmarks/RESULTS.md."""
