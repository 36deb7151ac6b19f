"""Say whether a model is right as often as it is sure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.config import CorpusConfig
from textus.evaluation.calibration import Calibration, calibrate, calibrate_masked
from textus.progress import SILENT, Progress
from textus.verbs.evaluate import stride_of
from textus.verbs.load import load
from textus.verbs.material import Material, Texts


def calibration(
    model: str | Path | Checkpoint,
    texts: Texts = (),
    *,
    split: str = "validation",
    stride: int | Literal["auto"] = "auto",
    device: str = "cpu",
    config: CorpusConfig | Literal["run"] = "run",
    progress: Progress = SILENT,
) -> tuple[Calibration, ...]:
    """Hold a model's confidence against what comes true, for each way in which it reads: next or hidden tokens.

    Texts are read as `evaluate` reads them, in windows that advance by `stride` new tokens (auto: half the context).
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    material = Material.of(opened, texts, split, config, progress)
    network, tokenizer, data, found = opened.model, opened.tokenizer, material.data, []
    if "causal" in opened.config.readings:
        step = stride_of(opened, stride)
        found.append(calibrate(network, tokenizer, material.measured(), data=data, stride=step, progress=progress))
    if "bidirectional" in opened.config.readings:
        found.append(calibrate_masked(network, tokenizer, material.measured(), data=data, progress=progress))
    return tuple(found)
