"""What a model makes of texts as directions, for the corpus stage, which knows no models.

Every document is read whole, in windows of the model's context; the states of all its tokens are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from textus import fingerprint
from textus.checkpoint.checkpoint import PROVENANCE, Checkpoint
from textus.corpus.duplicates.semantic import Embed
from textus.corpus.log import ReadLog
from textus.corpus.steps.meaning import Embedding
from textus.corpus.text import pieces
from textus.errors import CheckpointError, ConfigError
from textus.verbs.load import load

_BATCH_TOKENS = 8192
_BYTES_PER_TOKEN = 3
"""Fewer than there are, so that no piece of text is longer than a sentence-transformer reads."""
_TOLD_BY = ("config.json", "modules.json", "tokenizer.json", "vocab.txt", "*.model", "*.safetensors", "*.bin",
            "*/config.json", "*/*.safetensors")  # fmt: skip
_MODULES = "modules.json"
Window = Sequence[int]
States = Callable[[Int[Tensor, "rows time"], Bool[Tensor, "rows time"]], Float[Tensor, "rows time hidden"]]
"""From tokens, and which of them are no padding, to the model's last states."""


def embedding(directory: str) -> Embedding:
    """Open a model directory: a run of ours, or one of transformers or sentence-transformers where those are installed.

    Raises `CheckpointError` for what is no model's directory, and `ConfigError` where a library is missing.
    """
    place = Path(directory)
    if (place / _MODULES).is_file() and not (place / PROVENANCE).exists():
        embed = _sentences(place)
    else:
        try:
            embed = _ours(load(place))
        except CheckpointError:
            if not (place / "config.json").is_file() or (place / PROVENANCE).exists():
                raise
            embed = _foreign(place)
    files = sorted({path for pattern in _TOLD_BY for path in place.glob(pattern) if path.is_file()})
    return Embedding(fingerprint.of_parts(fingerprint.of_file(path) for path in files), embed)


@dataclass(frozen=True)
class _Mean:
    """Average the states of a text's tokens, window by window."""

    windows: Callable[[str], Iterator[Window]]
    states: States
    size: int
    """How many numbers a state has."""
    padding: int
    first: int
    """How many tokens at the beginning of each window are not of the text."""

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [(number, window) for number, text in enumerate(texts) for window in self.windows(text)]
        rows.sort(key=lambda row: len(row[1]))
        sums = torch.zeros(len(texts), self.size)
        for batch in _batches(rows):
            tokens = torch.full((len(batch), len(batch[-1][1])), self.padding)
            inside = torch.zeros(tokens.shape, dtype=torch.bool)
            for line, mark, (_, window) in zip(tokens, inside, batch, strict=True):
                line[: len(window)], mark[: len(window)] = torch.tensor(window), True
            states = self.states(tokens, inside).float()
            inside[:, : self.first] = False
            sums.index_add_(0, torch.tensor([number for number, _ in batch]), (states * inside[..., None]).sum(1))
        # The length of a row plays no part, so that a sum is as good as a mean.
        found: NDArray[np.float32] = sums.numpy()
        return found


def _batches(rows: list[tuple[int, Window]]) -> Iterator[list[tuple[int, Window]]]:
    """Cut rows that are ordered by length into batches of at most so many tokens, one row at least."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - start) * len(rows[end][1]) > _BATCH_TOKENS:
            yield rows[start:end]
            start = end


def _ours(opened: Checkpoint) -> Embed:
    model, tokenizer = opened.model, opened.tokenizer
    size, both = opened.config.context_length - 1, "bidirectional" in opened.config.readings

    def windows(text: str) -> Iterator[Window]:
        tokens = tokenizer.encode(text)
        for start in range(0, len(tokens), size):
            yield [tokenizer.begin, *tokens[start : start + size]]

    def states(
        tokens: Int[Tensor, "rows time"], inside: Bool[Tensor, "rows time"]
    ) -> Float[Tensor, "rows time hidden"]:
        # What pads a row stands behind it, where a causal model does not look.
        if both:
            return model.encode(tokens, (~inside).long(), attention="bidirectional")
        return model.encode(tokens)

    return _Mean(windows, states, opened.config.hidden_size, tokenizer.end, first=1)


def _foreign(place: Path) -> Embed:
    transformers = _library("transformers", "textus[hf]", place)
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
        model: Any = transformers.AutoModel.from_pretrained(place, local_files_only=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{place}: transformers cannot open it: {str(error).splitlines()[0]}", hint="give a model's directory"
        ) from None
    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))

    def windows(text: str) -> Iterator[Window]:
        found = tokenizer(text, truncation=True, max_length=longest, return_overflowing_tokens=True)
        yield from (window for window in found["input_ids"] if window) if text else ()

    def states(
        tokens: Int[Tensor, "rows time"], inside: Bool[Tensor, "rows time"]
    ) -> Float[Tensor, "rows time hidden"]:
        found: Tensor = model(input_ids=tokens, attention_mask=inside.long()).last_hidden_state
        return found

    return _Mean(windows, states, model.config.hidden_size, tokenizer.pad_token_id or 0, first=0)


def _sentences(place: Path) -> Embed:
    library = _library("sentence_transformers", "sentence-transformers", place)
    model: Any = library.SentenceTransformer(str(place), device="cpu", local_files_only=True)
    most = _BYTES_PER_TOKEN * int(model.max_seq_length or 512)
    # The second is its name before version 5.
    size = int(getattr(model, "get_embedding_dimension", model.get_sentence_embedding_dimension)())

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        parts = [(number, part) for number, text in enumerate(texts) for part in pieces(text, most, ReadLog())]
        sums = np.zeros((len(texts), size), np.float32)
        if parts:
            rows = model.encode([part for _, part in parts], normalize_embeddings=True, show_progress_bar=False)
            lengths = np.array([len(part) for _, part in parts], np.float32)
            np.add.at(sums, [number for number, _ in parts], rows * lengths[:, None])
        return sums

    return embed


def _library(name: str, package: str, place: Path) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"{place}: a model for {name}, which is not installed",
            hint=f"pip install '{package}', or set corpus.semantic.model to a run of Textus",
        ) from None
