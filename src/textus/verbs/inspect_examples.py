"""Show the examples of an adaptation as training shows them: what is read, and what is asked."""

from __future__ import annotations

import tomllib
from pathlib import Path

from textus import storage
from textus.adaptation.examples import KIND, Built
from textus.dataset.packing import Packed
from textus.errors import ArtefactError, ConfigError
from textus.objectives.instruction import Instruction
from textus.report import Prose, Report, Section, Table
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.inspect_window import show_window

_SETTINGS = "adapt.toml"


def examples_report(directory: Path, number: int | None = None, split: str = "train") -> Report:
    """Tell what the examples in `directory` are, or show window `number` of one of their parts."""
    manifest = storage.manifest(directory, KIND)
    facts = {name: value for name, value in manifest.facts.items() if name != "questions"}
    sections: list[tuple[str, Section]] = [("Examples", Table.of(facts))]
    if number is None:
        return Report("Examples", tuple(sections))
    if not 0 <= number < 2**63:
        raise ConfigError(f"no window {number}", hint="windows are numbered from 0, through all epochs, to 2^63 - 1")
    if split not in ("train", "validation"):
        raise ArtefactError(f"{directory}: no part `{split}`", hint="the parts here are train, validation")
    tokenizer = Tokenizer.load(directory)
    examples = Built(directory, manifest.key, facts, tokenizer.fingerprint).part(split)
    rows = Packed(
        examples, facts["context"], _seed(directory.parent), together=facts["together"], ordered=split != "train"
    )
    shown = show_window(rows, tokenizer, Instruction(), number)
    epoch, place = divmod(number, rows.per_epoch)
    sources = tuple((source.document, source.stop) for source in rows.sources(number))
    title = f"Window {number} of {split}: epoch {epoch}, place {place} of {rows.per_epoch}"
    return Report(
        f"Window {number}",
        (
            (title, Table(("example", "tokens"), sources)),
            ("token | label (· is read, and not learnt)", Prose(shown, verbatim=True)),
        ),
    )


def _seed(directory: Path) -> int:
    """Return the seed by which the job in `directory` orders its windows."""
    try:
        values = tomllib.loads((directory / _SETTINGS).read_text("utf-8"))
        return int(values["training"]["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ArtefactError(
            f"{directory / _SETTINGS}: not the settings of an adaptation", hint="give the directory of one"
        ) from None
