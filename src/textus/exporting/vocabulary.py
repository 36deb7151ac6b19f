"""A tokenizer as llama.cpp knows it: byte-level BPE, and the name of the rule that cuts text into words.

llama.cpp has no way to be told a rule, only names of rules that are written into it. Ours is `llama-bpe`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from textus.errors import TokenizerError
from textus.tokenizer.content import END, MASK, TURN_END
from textus.tokenizer.words import SPLIT

_QWEN2 = SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
_RULES: dict[tuple[str | None, bool], str] = {
    (SPLIT, True): "llama-bpe",
    (_QWEN2, False): "qwen2",
    ("", False): "gpt-2",
}
"""llama.cpp's name of a rule by its expression and by whether a word that is a token is taken whole; the empty one is
GPT-2's, which the engine has built in."""

TokenKind = Literal["normal", "control", "added", "unused"]


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of a tokenizer."""

    rule: str
    """How llama.cpp calls the way in which words are cut."""
    tokens: tuple[str, ...]
    kinds: tuple[TokenKind, ...]
    merges: tuple[str, ...]
    end: int
    """Begins and ends a document."""
    begins: bool
    """Whether the tokenizer itself puts a token before every text."""
    turn_end: int | None
    mask: int | None
    normalises: bool
    """Whether the tokenizer rewrites text first, which llama.cpp does not."""


def vocabulary(content: str, end: int, size: int) -> Vocabulary:
    """Read a `tokenizer.json` for a model of `size` tokens; raise `TokenizerError` where llama.cpp has no such thing.

    Rows of the model that no token has are called unused.
    """
    values = json.loads(content)
    rule = _rule(values)
    names = {token: name for name, token in values["model"]["vocab"].items()}
    kinds: dict[int, TokenKind] = dict.fromkeys(names, "normal")
    for entry in values["added_tokens"]:
        names[entry["id"]] = entry["content"]
        kinds[entry["id"]] = "control" if entry["special"] else "added"
    ids = {name: token for token, name in names.items()}
    return Vocabulary(
        rule=rule,
        tokens=tuple(names.get(token, f"[PAD{token}]") for token in range(size)),
        kinds=tuple(kinds.get(token, "unused") for token in range(size)),
        merges=tuple(pair if isinstance(pair, str) else " ".join(pair) for pair in values["model"]["merges"]),
        end=end,
        begins=END in json.dumps(values.get("post_processor"), ensure_ascii=False),
        turn_end=ids.get(TURN_END),
        mask=ids.get(MASK),
        normalises=values.get("normalizer") is not None,
    )


def _rule(values: dict[str, Any]) -> str:
    """Return llama.cpp's name for how words are cut."""
    model = values["model"]
    found = _RULES.get((_expression(values.get("pre_tokenizer")), bool(model.get("ignore_merges"))))
    plain = not model.get("dropout") and not model.get("byte_fallback") and not model.get("end_of_word_suffix")
    if model.get("type", "BPE") != "BPE" or "merges" not in model or not plain or found is None:
        raise TokenizerError(
            "the tokenizer cuts text into words by a rule that llama.cpp has no name for",
            hint=f"GGUF takes byte-level BPE by the rules {', '.join(_RULES.values())}; or export to onnx",
        )
    return found


def _expression(cutter: Any) -> str | None:
    """Return the expression by which words are cut: empty for GPT-2's own, None for anything else."""
    parts = cutter.get("pretokenizers", [cutter]) if isinstance(cutter, dict) else []
    kinds = [part.get("type") for part in parts]
    if not parts or kinds[-1] != "ByteLevel" or parts[-1].get("add_prefix_space"):
        return None
    if kinds == ["ByteLevel"]:
        return "" if parts[0].get("use_regex", True) else None
    cut = parts[0]
    if kinds != ["Split", "ByteLevel"] or cut.get("behavior") != "Isolated" or cut.get("invert"):
        return None
    expression = cut.get("pattern", {}).get("Regex")
    return str(expression) if expression and not parts[-1].get("use_regex", True) else None
