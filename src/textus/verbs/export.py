"""Write a model for another engine, and say what that costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ArtefactError, ConfigError, ResourceError
from textus.evaluation.estimate import Evaluation, ratio
from textus.exporting import gguf, onnx
from textus.exporting.formats import Format, Type, chosen
from textus.model.transformer import Transformer
from textus.progress import SILENT, Progress
from textus.report import Score, Shown
from textus.verbs.card import FILE as CARD
from textus.verbs.card import write_card
from textus.verbs.evaluate import evaluate
from textus.verbs.load import load

FOLDER = "exports"
"""Where in a model's directory files go, unless told otherwise."""


@dataclass(frozen=True)
class Exported(Shown):
    """A file for another engine, and what the model is worth in it."""

    path: Path
    format: Format
    type: str
    """What matrices are written as; a card is text."""
    num_bytes: int
    before: tuple[Score, ...] = ()
    """Scores of the model as it is; empty where nothing was measured."""
    after: tuple[Score, ...] = ()
    """The same of what the file holds."""
    change: Score | None = None
    """What the file costs: after less before, with the error of the difference on the same text."""
    notes: tuple[str, ...] = ()
    """What whoever uses the file has to know."""

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.num_bytes / 1e6:,.2f} MB, {self.type}"]
        after = {score.name: score for score in self.after}
        lines += [f"{_words(score)}: {score.value:.4f} -> {after[score.name].value:.4f}" for score in self.before]
        if self.change is not None:
            sign = self.change
            lines.append(f"{_words(sign)}: {sign.value:+.5f} ± {sign.error:.5f} {sign.unit}")
        return "\n".join([*lines, *self.notes])

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "path": str(self.path),
            "format": self.format,
            "type": self.type,
            "bytes": self.num_bytes,
            "before": [score.as_dict() for score in self.before],
            "after": [score.as_dict() for score in self.after],
            "change": self.change.as_dict() if self.change else None,
            "notes": list(self.notes),
        }


def export(
    model: str | Path | Checkpoint,
    texts: str | Path | Sequence[str | Path] = (),
    *,
    to: str,
    out: str | Path = "",
    type: str = "default",
    measure: bool = True,
    licence: str = "",
    watts: float = 0.0,
    progress: Progress = SILENT,
) -> Exported:
    """Write a model as `to` says (gguf, onnx) and measure what the file holds beside the model, on the same text.

    With `card` it writes the model's card, `README.md` in its directory, from what the run has kept; `licence` is the
    one that you give the model (none is guessed), `watts` what the machine drew (0: what is assumed of its kind).

    `type` is what matrices are written as: f32, f16 (gguf's default) or q8_0 in a GGUF file, f32 (the default) or int8
    in an ONNX file. `out` is the file (default: `exports/NAME-TYPE.gguf` in the model's directory); one that is there
    is never replaced. The text is the run's validation part, or `texts`; without any, or without `measure`, nothing is
    measured, and `before` and `after` are empty.
    """
    made, kind = chosen(to, type)
    opened = model if isinstance(model, Checkpoint) else load(model)
    path = _place(opened, Path(out) if str(out) else None, made, kind)
    if made == "card":
        write_card(opened, path, licence, watts)
        return Exported(path, made, kind, path.stat().st_size)
    if licence or watts:
        raise ConfigError(f"a licence and watts are for the card, not for {made}", hint="leave them out, or --to card")
    if made == "gguf":
        notes = gguf.write(opened, path, cast(gguf.Type, kind))
    else:
        notes = onnx.write(opened, path, cast(onnx.Type, kind))
    found = Exported(path, made, kind, path.stat().st_size, notes=tuple(notes))
    return _measured(found, opened, texts, progress) if measure else found


def _place(opened: Checkpoint, out: Path | None, made: Format, kind: Type | str) -> Path:
    """Return where the file goes; refuse a place that is taken."""
    name = opened.directory.resolve().name
    usual = CARD if made == "card" else f"{FOLDER}/{name}-{kind}.{made}"
    path = out or opened.directory / usual
    if path.is_dir():
        raise ResourceError(f"{path}: a directory stands there", hint=f"name a file, as in -o {path / name}.{made}")
    if path.exists():
        raise ResourceError(f"{path}: is there already", hint="delete it, or choose another place with -o")
    return path


def _measured(
    found: Exported, opened: Checkpoint, texts: str | Path | Sequence[str | Path], progress: Progress
) -> Exported:
    """Measure the model and what its file holds on the same text."""
    try:
        before = evaluate(opened, texts, look_in_training=False, progress=progress)
    except ArtefactError:
        if texts:
            raise
        note = "not measured: the model has no validation part beside it; name texts to measure it on"
        return dataclasses.replace(found, notes=(*found.notes, note))
    after = evaluate(_reopened(found, opened), texts, look_in_training=False, progress=progress)
    return dataclasses.replace(found, before=before.scores, after=after.scores, change=_change(before, after))


def _reopened(found: Exported, opened: Checkpoint) -> Checkpoint:
    """Return the model as its file holds it: by its weights in our network, or computed by ONNX Runtime."""
    if found.format == "onnx":
        graph = onnx.Graph(found.path, opened.config)
        return dataclasses.replace(opened, model=cast(Transformer, graph))
    network = Transformer(opened.config)
    network.load_state_dict(gguf.read(found.path, opened.config))
    return dataclasses.replace(opened, model=network.eval())


def _change(before: Evaluation, after: Evaluation) -> Score:
    """Return what was added to the score, with its error: both read the same text, so most of their errors cancel."""
    more = after.units.nats - before.units.nats
    score = before.scores[0]
    if any(one.name == "bits_per_byte" for one in before.scores):
        score = before.score("bits_per_byte")
        value, error = ratio(more / math.log(2), before.units.num_bytes.astype(float))
    else:
        value, error = ratio(more, before.units.tokens.astype(float))
    return Score(f"change_of_{score.name}", value, error, score.unit, score.tokenizer, score.data)


def _words(score: Score) -> str:
    return score.name.replace("_", " ")
