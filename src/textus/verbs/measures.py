"""What is measured and written when a run has finished: scores, baselines, samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from textus import fingerprint, storage
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.generate import complete
from textus.decoding.strategy import strategy_of
from textus.decoding.words import stop_tokens
from textus.errors import TextusError
from textus.evaluation.baselines import MAXIMUM_CONTEXT, compressors
from textus.evaluation.documents import evenly_chosen, split_documents
from textus.evaluation.ngram import MAXIMUM_TOKENS, NGram, evaluate_ngram
from textus.evaluation.readings import evaluate_readings
from textus.report import Score
from textus.verbs.blanks import filled_passages
from textus.verbs.contamination import leakage_of
from textus.verbs.stages import Stages

MEASURES_VERSION = 3
"""Raised whenever the same model and settings give other measures, so that kept ones are made again."""
FILE = "measures.json"
SAMPLES = 3
SAMPLE_TOKENS = 160
MOST_VALIDATION_BYTES = 32 * 2**20
"""Compressors read at most this much validation text."""


@dataclass(frozen=True)
class Measures:
    """Everything that was measured on the validation part."""

    scores: tuple[Score, ...]
    note: str
    """How the standard errors were estimated."""
    leakage: dict[str, Any]
    """What of the held-out documents stands in training, measured on the finished texts."""
    stride: int
    baselines: dict[str, Any]
    """Bits per byte by name, and `details`."""
    samples: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**vars(self), "scores": [score.as_dict() for score in self.scores]}


def kept(stages: Stages, key: str) -> Measures | None:
    """Return the measures that were kept for this model, if they are whole."""
    try:
        values = storage.read_json(stages.directory / FILE)
        if values.pop("key") != _key(stages, key):
            return None
        scores = tuple(Score(**score) for score in values.pop("scores"))
        return Measures(scores=scores, samples=tuple(values.pop("samples")), **values)
    except (TextusError, KeyError, TypeError):
        return None


def measure(stages: Stages, key: str) -> Measures:
    """Measure the run's model on the validation part, set it beside the baselines, and let it write."""
    opened = checkpoint.load(stages.directory)
    split = stages.shards.split("validation")
    stride = max(1, opened.model.config.context_length // 2)
    found = evaluate_readings(
        opened.model,
        opened.tokenizer,
        lambda: split_documents(split),
        data=split.data_fingerprint,
        stride=stride,
        bound=stages.settings.objective.name == "diffusion",
        progress=stages.progress,
    )
    leakage = leakage_of(stages.corpus)
    result = Measures(found.scores, found.note, leakage, stride, _baselines(stages, opened), _samples(stages, opened))
    storage.write_json(stages.directory / FILE, {"key": _key(stages, key), **result.as_dict()})
    return result


def _key(stages: Stages, key: str) -> str:
    return fingerprint.of_parts([str(MEASURES_VERSION), key, fingerprint.of_value(stages.settings.sampling)])


def _baselines(stages: Stages, opened: Checkpoint) -> dict[str, Any]:
    """Measure compressors, alone and after the training text, and an n-gram model over the same tokens."""
    corpus, split = stages.corpus, stages.shards.split("validation")
    validation = b"".join(document.text.encode() for document in corpus.documents("validation"))
    validation = validation[:MOST_VALIDATION_BYTES]
    rows = compressors(validation, _end_of_training(stages), progress=stages.progress)
    train = stages.shards.split("train")
    ngram = NGram.train(evenly_chosen(train, MAXIMUM_TOKENS), opened.tokenizer.vocab_size, progress=stages.progress)
    counted = evaluate_ngram(
        ngram, opened.tokenizer, split_documents(split), data=split.data_fingerprint, progress=stages.progress
    ).score("bits_per_byte")
    return {
        **{row.name: row.after_training for row in rows},
        "ngram": counted.value,
        "details": {
            **{f"{row.name}_alone": row.alone for row in rows},
            "ngram_error": counted.error,
            "ngram_tokens": min(train.num_tokens, MAXIMUM_TOKENS),
            "compressor_context_bytes": rows[0].context_bytes,
            "validation_bytes": len(validation),
        },
    }


def _end_of_training(stages: Stages) -> bytes:
    """Return the last of the training text, as much as a compressor is given."""
    kept = bytearray()
    for document in stages.corpus.documents("train"):
        kept += document.text.encode()
        if len(kept) > 2 * MAXIMUM_CONTEXT:
            del kept[:-MAXIMUM_CONTEXT]
    return bytes(kept[-MAXIMUM_CONTEXT:])


def _samples(stages: Stages, opened: Checkpoint) -> tuple[str, ...]:
    """Write a few texts from nothing but the beginning of a document, and fill blanks, as far as the model does."""
    sampling, readings = stages.settings.sampling, opened.config.readings
    filled = filled_passages(opened, stages.shards.split("validation")) if "bidirectional" in readings else ()
    if "causal" not in readings:
        return filled
    with torch.inference_mode():
        written = tuple(
            complete(
                opened.model,
                opened.tokenizer,
                "",
                strategy_of(sampling, opened.tokenizer),
                max_tokens=min(sampling.max_tokens, SAMPLE_TOKENS),
                stop=sampling.stop,
                stop_tokens=stop_tokens(opened.tokenizer, sampling.stop_tokens),
                stop_loops=sampling.stop_loops,
                seed=sampling.seed + number,
            ).text
            for number in range(SAMPLES)
        )
    return written + filled
