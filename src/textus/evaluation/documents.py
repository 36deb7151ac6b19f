"""Documents as they are measured: END, the tokens of the text, END; and the text's size in UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from textus.corpus.batch import batches
from textus.corpus.document import Document
from textus.dataset.split import TokenSplit
from textus.evaluation.estimate import Measured, Tokens
from textus.tokenizer.tokenizer import Tokenizer


def frame(tokenizer: Tokenizer, document: Document) -> Measured:
    """Return a document as shards store it, with its size; `DataHash.of` the ids is the fingerprint of several."""
    return np.array([tokenizer.begin, *tokenizer.encode(document.text), tokenizer.end]), document.num_bytes


def frames(tokenizer: Tokenizer, documents: Iterable[Document]) -> Iterator[Measured]:
    """Yield documents as `frame` makes them, encoded together and beside the work of whoever measures them."""
    with ThreadPoolExecutor(1) as beside:
        begun: tuple[Future[list[Any]], list[Document]] | None = None
        for group in batches(documents):
            next_one = beside.submit(tokenizer.encode_batch, [document.text for document in group]), group
            if begun is not None:
                yield from _framed(tokenizer, *begun)
            begun = next_one
        if begun is not None:
            yield from _framed(tokenizer, *begun)


def _framed(tokenizer: Tokenizer, encoded: Future[list[Any]], group: list[Document]) -> Iterator[Measured]:
    begin, end = np.array([tokenizer.begin]), np.array([tokenizer.end])
    for document, tokens in zip(group, encoded.result(), strict=True):
        yield np.concatenate([begin, tokens, end]), document.num_bytes


def split_documents(split: TokenSplit) -> Iterator[Measured]:
    """Yield every document of a split, with its size."""
    for index, num_bytes in enumerate(split.document_bytes.tolist()):
        yield split.document(index), num_bytes


def evenly_chosen(split: TokenSplit, maximum_tokens: int) -> Iterator[Tokens]:
    """Yield documents from all over a split whose tokens are about `maximum_tokens`, or all where they are fewer.

    Whoever must not have more has to count: long documents may lie where the choice falls.
    """
    share = min(1.0, maximum_tokens / max(1, split.num_tokens))
    marks = np.ceil(np.arange(split.num_documents + 1) * share)
    for index in np.flatnonzero(np.diff(marks)).tolist():
        yield split.document(index)
