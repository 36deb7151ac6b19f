"""The `tokenizer.json` of a directory: the one that is there, or one made of the files that older writers left.

`vocab.json` with `merges.txt` is a byte-level BPE, cut as GPT-2 or as Qwen2 cuts text; `vocab.txt` is BERT's WordPiece;
`tokenizer.bin` is SentencePiece's BPE as llama2.c keeps it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Engine

from textus import storage
from textus.errors import TokenizerError
from textus.tokenizer.beside import Beside

FILE = "tokenizer.json"
_POINTER = "version https://git-lfs"
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPACE = "▁"
_MAKE_ONE = (
    "write a tokenizer.json once with transformers: AutoTokenizer.from_pretrained(DIRECTORY).save_pretrained(DIRECTORY)"
)
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token")


def content_of(directory: Path, beside: Beside) -> str:
    """Return the text of a directory's `tokenizer.json`; raise `TokenizerError` where there is none to be had."""
    path = directory / FILE
    if path.is_file() or not directory.is_dir():
        return read_text(path)
    for names, make in _MAKERS:
        if all((directory / name).is_file() for name in names):
            return make(directory, beside)
    found = sorted(file.name for file in directory.iterdir() if file.suffix == ".model")
    if found:
        raise TokenizerError(f"{directory}: its tokenizer is SentencePiece's ({found[0]})", hint=_MAKE_ONE)
    raise TokenizerError(
        f"{path}: No such file or directory", hint="give a model or tokenizer directory, or a tokenizer.json"
    )


def read_text(path: Path) -> str:
    """Read a file of text; a pointer of git-lfs in its place is told apart."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise TokenizerError(
            f"{path}: {error.strerror}", hint="give a model or tokenizer directory, or a tokenizer.json"
        ) from None
    except UnicodeDecodeError:
        raise TokenizerError(f"{path}: damaged: not UTF-8", hint="delete it and make it again") from None
    if text.startswith(_POINTER):
        raise TokenizerError(
            f"{path}: a pointer of git-lfs that stands for the file",
            hint="fetch what it stands for: `git lfs pull` in that directory",
        )
    return text


def _byte_level(directory: Path, beside: Beside) -> str:
    """Make a byte-level BPE of `vocab.json` and `merges.txt`."""
    kind = _kind(directory, beside)
    if kind not in ("gpt2", "qwen2", "qwen3"):
        raise TokenizerError(
            f"{directory}: vocab.json and merges.txt do not say how text is cut, and {kind or 'this'} is not known to",
            hint=_MAKE_ONE,
        )
    vocabulary = storage.read_json(directory / "vocab.json", TokenizerError)
    lines = read_text(directory / "merges.txt").split("\n")
    merges = [tuple(line.split(" ")) for line in lines if line.strip() and not line.startswith("#version")]
    try:
        engine = Engine(models.BPE(vocabulary, merges))  # type: ignore[arg-type]  # it says what is wrong with them
    except Exception as error:  # the library raises plain `Exception`
        raise TokenizerError(f"{directory}: vocab.json and merges.txt: {error}", hint="restore them") from None
    prefix = bool(beside.settings.get("add_prefix_space"))
    if kind == "gpt2":
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    else:
        engine.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(_QWEN2), "isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
        engine.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    engine.decoder = decoders.ByteLevel()
    engine.post_processor = processors.ByteLevel(trim_offsets=False)
    _add(engine, directory, beside, ["<|endoftext|>"])
    return str(engine.to_str())


def _word_piece(directory: Path, beside: Beside) -> str:
    """Make BERT's WordPiece of `vocab.txt`."""
    words = read_text(directory / "vocab.txt").rstrip("\n").split("\n")
    vocabulary = {word.rstrip("\r"): token for token, word in enumerate(words)}
    special = {name: beside.name_of(f"{name}_token") or f"[{name.upper()}]" for name in ("unk", "cls", "sep")}
    missing = [name for name in special.values() if name not in vocabulary]
    if missing or len(vocabulary) != len(words):
        what = f"lacks {missing[0]}" if missing else "names a token twice"
        raise TokenizerError(f"{directory / 'vocab.txt'}: {what}", hint="restore it, or " + _MAKE_ONE)
    engine = Engine(models.WordPiece(vocabulary, unk_token=special["unk"]))
    settings = beside.settings
    engine.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=settings.get("strip_accents"),
        lowercase=bool(settings.get("do_lower_case", True)),
    )
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    engine.post_processor = processors.BertProcessing(
        (special["sep"], vocabulary[special["sep"]]), (special["cls"], vocabulary[special["cls"]])
    )
    _add(engine, directory, beside, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return str(engine.to_str())


def _llama2_c(directory: Path, beside: Beside) -> str:
    """Make SentencePiece's BPE of the file that llama2.c keeps: each token's score, length and bytes."""
    path = directory / "tokenizer.bin"
    data, pieces, scores, at = path.read_bytes(), [], [], 4
    try:
        while at < len(data):
            score, length = struct.unpack_from("<fi", data, at)
            pieces.append(data[at + 8 : at + 8 + length].decode())
            scores.append(score)
            at += 8 + length
        if at != len(data) or pieces[1].strip() != "<s>" or len(pieces) < 259:
            raise ValueError
    except (struct.error, ValueError, IndexError):
        raise TokenizerError(f"{path}: no whole tokenizer of llama2.c", hint=_MAKE_ONE) from None
    special = [pieces[0], "<s>", "</s>"]
    # behind these stand the bytes, written as `<0x0A>` or, by its first versions, as a character each
    single = [f"<0x{byte:02X}>" for byte in range(256)]
    names = [*special, *single, *(piece.replace(" ", _SPACE) for piece in pieces[3 + len(single) :])]
    vocabulary = {name: token for token, name in enumerate(names)}
    engine = Engine(
        models.BPE(vocabulary, _merges(vocabulary, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    engine.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    engine.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    engine.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    _add(engine, directory, beside, special)
    return str(engine.to_str())


def _merges(vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Return the merges that a vocabulary with scores stands for: every way to make a token of two, the best first.

    Between ways to make the same token, the one with the earlier parts goes first, as transformers has it.

    >>> _merges({"a": 0, "b": 1, "ab": 2, "aba": 3}, [0.0, 0.0, -1.0, -2.0])
    [('a', 'b'), ('ab', 'a')]
    """
    ways = [
        (-scores[token], token, vocabulary[name[:cut]], vocabulary[name[cut:]], name[:cut], name[cut:])
        for name, token in vocabulary.items()
        for cut in range(1, len(name))
        if name[:cut] in vocabulary and name[cut:] in vocabulary
    ]
    return [(left, right) for *_, left, right in sorted(ways)]


def _add(engine: Engine, directory: Path, beside: Beside, usual: Iterable[str]) -> None:
    """Mark special tokens, and add those that stand behind the vocabulary, each where its number says."""
    table: Any = beside.settings.get("added_tokens_decoder") or {}
    added = {int(token): AddedToken(**_fields(entry)) for token, entry in table.items()}
    path = directory / "added_tokens.json"
    if path.is_file():
        others: dict[str, int] = storage.read_json(path, TokenizerError)
        added = {token: AddedToken(name, special=True, normalized=False) for name, token in others.items()} | added
    for token, entry in sorted(added.items()):
        (engine.add_special_tokens if entry.special else engine.add_tokens)([entry])
        if engine.token_to_id(entry.content) != token:
            raise TokenizerError(
                f"{directory}: the added token {entry.content!r} is said to be {token}, and comes to be "
                f"{engine.token_to_id(entry.content)}",
                hint="restore the tokenizer's files; they belong together",
            )
    named = [*usual, *(beside.name_of(kind) for kind in _NAMED)]
    here = [name for name in dict.fromkeys(named) if name and engine.token_to_id(name) is not None]
    engine.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in here])


def _fields(entry: Any) -> dict[str, Any]:
    known = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    return {name: entry[name] for name in known if name in entry}


def _kind(directory: Path, beside: Beside) -> str:
    """Return whose tokenizer it is, by its class or by the model beside it."""
    named = str(beside.settings.get("tokenizer_class") or "").removesuffix("Fast").removesuffix("Tokenizer").lower()
    if named or not (directory / "config.json").is_file():
        return named
    values = storage.read_json(directory / "config.json", TokenizerError)
    return str(values.get("model_type", "")) if isinstance(values, dict) else ""


_MAKERS: tuple[tuple[tuple[str, ...], Callable[[Path, Beside], str]], ...] = (
    (("vocab.json", "merges.txt"), _byte_level),
    (("vocab.txt",), _word_piece),
    (("tokenizer.bin",), _llama2_c),
)
