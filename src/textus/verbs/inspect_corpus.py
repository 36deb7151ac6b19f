"""Show the documents of a corpus: those it holds, and all that were read with what was decided about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from textus.corpus.corpus import Corpus
from textus.corpus.split import SPLITS
from textus.corpus.trail import Step, Trail
from textus.errors import ConfigError
from textus.report import Prose, Report, Section, Table

READ = "read"
"""In place of the name of a part: all documents as they were read, the dropped ones among them."""
_MOST_ALIKE = 20
_EXCERPT = 120


def document_report(corpus: Corpus, number: int, split: str) -> Report:
    """Show a document of a part, or one of all that were read, with everything that was decided about it."""
    if split == READ:
        return _trail_report(Trail.open(corpus), number)
    found = next((name for name in SPLITS if name == split and name in corpus.splits), None)
    if found is None:
        raise ConfigError(f"{corpus.directory}: no {split} part", hint=f"parts: {', '.join((*corpus.splits, READ))}")
    count = corpus.count(found)
    if not 0 <= number < count:
        raise ConfigError(f"no document {number} in {split}", hint=f"there are documents 0 to {count - 1}")
    document = next(document for index, document in enumerate(corpus.documents(found)) if index == number)
    facts = {"source": document.source, "id": document.id, "bytes": document.num_bytes, **document.meta}
    return Report(
        f"Document {number} of {split}",
        (("Document", Table.of(facts)), ("Text", Prose(document.text, verbatim=True))),
    )


def search_report(corpus: Corpus, words: str) -> Report:
    """List documents that hold some words, kept or dropped."""
    trail = Trail.open(corpus)
    found = trail.search(words)
    rows = tuple((step.number, step.document.source, step.verdict, _around(step, words)) for step in found)
    shown: Section = Table(("document", "source", "verdict", "text"), rows) if rows else Prose("none")
    return Report(f"Documents with `{words}`", ((f"The first documents of {len(trail)} that hold `{words}`", shown),))


def _trail_report(trail: Trail, number: int) -> Report:
    step = trail.step(number)
    decision, document = step.decision, step.document
    facts: dict[str, Any] = {"verdict": step.verdict, "source": document.source, "id": document.id, **document.meta}
    if decision.note:
        facts["why"] = decision.note
    if decision.match >= 0:
        facts["dropped for"] = f"document {decision.match}, {decision.score:.3f} alike"
    sections: list[tuple[str, Section]] = [(f"Document {number} of all that were read", Table.of(facts))]
    alike = trail.cluster(number)
    if len(alike) > 1:
        rows = tuple((one.number, one.document.source, one.verdict) for one in alike[:_MOST_ALIKE])
        sections.append((f"Nearly the same: {len(alike)} documents", Table(("document", "source", "verdict"), rows)))
    measures = {name: _plain(value) for name, value in trail.measures(number).items() if "digest" not in name}
    sections.append(("Measures", Table.of(measures)))
    sections.append(("Text, as it was read and repaired", Prose(document.text, verbatim=True)))
    return Report(f"Document {number}", tuple(sections))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _around(step: Step, words: str) -> str:
    text = step.document.text
    at = text.casefold().find(words.casefold())
    start = max(0, at - _EXCERPT // 2)
    return " ".join(text[start : start + _EXCERPT].split())
