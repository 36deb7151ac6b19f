"""What models make of the same beginnings of documents."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import torch

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.document import Document
from textus.decoding.generate import complete
from textus.decoding.strategy import strategy_of
from textus.decoding.unmask import unmask
from textus.verbs.comparable import reads_causally
from textus.verbs.contamination import corpus_beside
from textus.verbs.generate import run_sampling

PROMPTS, PROMPT_CHARACTERS, SAMPLE_TOKENS = 3, 80, 60
_LOOKED_AT = 100
_UNMASK_TEMPERATURE = 0.7


def part_documents(directory: Path, split: str) -> list[Document]:
    """Return the first documents of a part of a run's corpus, where that is still beside the model."""
    corpus = corpus_beside(directory)
    name = next((name for name in corpus.splits if name == split), None) if corpus else None
    return list(itertools.islice(corpus.documents(name), _LOOKED_AT)) if corpus and name else []


def beginnings(documents: Iterable[Document]) -> tuple[str, ...]:
    """Return the beginnings of some documents, whole words."""
    long = (one.text for one in documents if len(one.text) > 2 * PROMPT_CHARACTERS)
    cut = (text[:PROMPT_CHARACTERS].rpartition(" ")[0] or text[:PROMPT_CHARACTERS] for text in long)
    return tuple(dict.fromkeys(itertools.islice(cut, _LOOKED_AT)))[:PROMPTS]


def continuation(opened: Checkpoint, prompt: str) -> str:
    """Let a model go on from a prompt, as its run samples."""
    sampling = run_sampling(opened.directory)
    if not reads_causally(opened):
        return _unmasked(opened, prompt, sampling.seed)
    with torch.inference_mode():
        return complete(
            opened.model,
            opened.tokenizer,
            prompt,
            strategy_of(sampling, opened.tokenizer),
            max_tokens=min(sampling.max_tokens, SAMPLE_TOKENS),
            stop=sampling.stop,
            seed=sampling.seed,
        ).text


def _unmasked(opened: Checkpoint, prompt: str, seed: int) -> str:
    """Let a model that only reads both ways settle blanks behind the prompt."""
    tokenizer, context = opened.tokenizer, opened.config.context_length
    given = [tokenizer.end, *tokenizer.encode(prompt)][: context // 2]
    blanks = [tokenizer.mask] * min(SAMPLE_TOKENS, context - len(given) - 1)
    tokens = [*given, *blanks, tokenizer.end]
    written = unmask(
        opened.model, tokenizer, tokens, steps=-(-len(blanks) // 2), temperature=_UNMASK_TEMPERATURE, seed=seed
    )
    return tokenizer.decode(written[len(given) : -1])
