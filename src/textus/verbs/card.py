"""Write the card of a model from what its directory has kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textus import storage
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import CheckpointError
from textus.exporting.card import Assumptions, Known, card
from textus.verbs.contamination import corpus_beside
from textus.verbs.redteam import CARD as SAFETY
from textus.verbs.redteam import MODEL
from textus.verbs.start import weights_fingerprint

FILE = "README.md"
WATTS = {"cpu": 100.0, "mps": 60.0, "cuda": 700.0}
"""Assumed of a machine that trains on such a device: a desktop, a laptop, a server's GPU with its share of the rest."""
GRAMS_PER_KWH = 480.0
"""Of the world's electricity in 2023, by Ember's Global Electricity Review."""
PRICE_PER_KWH = 0.15


def write_card(opened: Checkpoint, path: Path, licence: str, watts: float) -> None:
    """Write the card of a model; 0 `watts` are those that are assumed for the device it was trained on."""
    config, directory = opened.config, opened.directory
    readings = config.readings
    known = Known(
        name=directory.resolve().name,
        parameters=config.num_parameters(),
        reads="both" if len(readings) > 1 else readings[0],
        context_length=config.context_length,
        vocab_size=config.vocab_size,
        provenance=opened.provenance,
        training=_kept(directory / "training.json"),
        result=_scores(directory, opened),
        corpus=_corpus(directory, opened),
        safety=_safety(directory),
    )
    settings = (opened.provenance.get("settings") or {}).get("training") or {}
    device = str(settings.get("device", "cpu")).partition(":")[0]
    assumed = Assumptions(watts or WATTS.get(device, WATTS["cpu"]), GRAMS_PER_KWH, PRICE_PER_KWH)
    storage.write_text(path, card(known, licence, assumed))


def _scores(directory: Path, opened: Checkpoint) -> dict[str, Any]:
    """Return what was measured, unless it is of another model: a run that is trained anew keeps its last result."""
    found = _kept(directory / "result.json")
    tokenizers = {score["tokenizer"] for score in found.get("scores", ())}
    same = found.get("seconds") == _kept(directory / "training.json").get("seconds")
    return found if same and tokenizers <= {opened.tokenizer.fingerprint} else {}


def _corpus(directory: Path, opened: Checkpoint) -> dict[str, Any]:
    """Return what is known of the text, where the corpus beside the model is the one it learnt from."""
    corpus = corpus_beside(directory)
    if corpus is None or corpus.fingerprint != opened.provenance.get("corpus"):
        return {}
    return corpus.record()


def _safety(directory: Path) -> dict[str, Any]:
    """Return what the red team found, unless the weights have changed since."""
    sections: dict[str, Any] = _kept(directory / f"{SAFETY}.json").get("sections") or {}
    guarded = sections.get("Guard") or {}
    return sections if guarded.get(MODEL) == weights_fingerprint(directory) else {}


def _kept(path: Path) -> dict[str, Any]:
    """Read what a run has left; nothing where the model is without its run."""
    if not path.is_file():
        return {}
    found = storage.read_json(path, CheckpointError)
    return found if isinstance(found, dict) else {}
