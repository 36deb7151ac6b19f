"""A model's perplexity as a measure of texts, for the corpus stage, which knows no models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textus import fingerprint
from textus.corpus.document import Document
from textus.corpus.steps.options import Reference
from textus.evaluation.documents import frame
from textus.evaluation.perplexity import evaluate
from textus.verbs.load import load


def reference(directory: str) -> Reference:
    """Return the perplexity of each text under the model in a directory; NaN for a text of nothing."""
    opened = load(directory)
    context = opened.model.config.context_length

    def perplexity(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([of(text) if text else np.nan for text in texts], np.float32)

    def of(text: str) -> float:
        framed = [frame(opened.tokenizer, Document(text, ""))]
        found = evaluate(opened.model, opened.tokenizer, framed, data="", stride=max(1, context // 2))
        return found.score("perplexity").value

    weights = [fingerprint.of_file(path) for path in sorted(opened.directory.glob("*.safetensors"))]
    return Reference(fingerprint.of_parts([opened.tokenizer.fingerprint, *weights]), perplexity)
