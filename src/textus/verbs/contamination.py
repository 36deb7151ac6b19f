"""Hold an evaluation against the corpus that the model has learnt from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from textus.corpus.batch import batches
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.grams import training_grams
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.dataset.shard import DataHash
from textus.errors import ArtefactError
from textus.evaluation.contamination import Contamination
from textus.evaluation.estimate import Evaluation
from textus.progress import SILENT, Progress


def corpus_beside(directory: Path) -> Corpus | None:
    """Return the corpus of a run, where it is still beside the model."""
    try:
        return Corpus.open(directory / "corpus")
    except ArtefactError:
        return None


def leakage_of(corpus: Corpus) -> dict[str, Any]:
    """Return what of the held-out documents of a corpus stands in its training part, as it was measured."""
    found: dict[str, Any] = corpus.record()["leakage"]
    return found


def contamination(
    found: Evaluation,
    documents: Iterable[Document],
    corpus: Corpus,
    config: ContaminationConfig,
    progress: Progress = SILENT,
) -> Contamination | None:
    """Say how much of the measured documents the training part has, and what the others score.

    None where `documents` are not those that were measured, since a corpus can be made anew beside its model, and for
    a model that predicts hidden tokens only.
    """
    if found.blocks is None:
        return None
    grams = training_grams(corpus, config.size, progress)
    coverages: list[np.ndarray] = []
    ids: list[str] = []
    for group in batches(documents):
        coverages.append(grams.coverage([document.text for document in group]))
        ids += [document.id for document in group]
    if DataHash.of(ids) != found.scores[0].data:
        return None
    coverage, sizes = np.concatenate(coverages), found.blocks.document_bytes
    seen = coverage >= config.threshold
    clean = DataHash.of(one for one, is_seen in zip(ids, seen.tolist(), strict=True) if not is_seen)
    return Contamination(
        words=config.size,
        threshold=config.threshold,
        overlap=float(coverage @ sizes / max(1, sizes.sum())),
        documents=int(seen.sum()),
        num_bytes=int(sizes[seen].sum()),
        clean_documents=int((~seen).sum()),
        clean=found.part(~seen, clean) if sizes[~seen].any() else (),
        false_share=grams.false_share,
    )
