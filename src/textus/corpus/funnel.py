"""What became of the documents on their way into a corpus: counts, reasons, examples, and their report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.report import Prose, Report, Section, Table

_EXAMPLES = 3
_EXCERPT = 160
HOW = {
    "documents": "Whole documents were held out, in the order of their content's hash, up to the share of bytes.",
    "tails": "There are too few documents to hold out whole ones: the end of each was held out. Neighbouring passages "
    "of one text are alike, so this measures an easier thing than new documents would be.",
    "given": "The validation part is the one that was given; its duplicates were left out of training.",
}


@dataclass
class Funnel:
    """Count documents from reading to keeping; everything read is either kept or dropped for one reason."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Documents, by reason."""
    repairs: Counter[str] = field(default_factory=Counter)
    """Documents that each kind of repair touched."""
    examples: list[dict[str, str]] = field(default_factory=list)
    """The first few texts of each reason and repair."""

    def drop(self, reason: str, document: Document) -> None:
        """Count a document that is left out."""
        self.dropped[reason] += 1
        if self.dropped[reason] <= _EXAMPLES and document.text.strip():
            self._example(f"dropped: {reason}", document.source, _excerpt(document.text, 0), "")

    def repair(self, repairs: Counter[str], before: Document, after: str) -> None:
        """Count the repairs of a document."""
        self.repairs += repairs
        for repair in ("wrong decoding", "lone surrogates"):
            if repair in repairs and self.repairs[repair] <= _EXAMPLES:
                at = _first_difference(before.text, after)
                self._example(f"repaired: {repair}", before.source, _excerpt(before.text, at), _excerpt(after, at))

    def reasons(self) -> str:
        """Say in words why documents were dropped."""
        return ", ".join(f"{count} {reason}" for reason, count in self.dropped.most_common()) or "none was read"

    def _example(self, what: str, source: str, before: str, after: str) -> None:
        self.examples.append({"what": what, "source": source, "before": before, "after": after})


def as_record(funnel: Funnel, log: ReadLog, how: str, splits: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Return everything that a report tells, as JSON."""
    return {
        "documents": {"read": funnel.read, "kept": funnel.kept, "dropped": dict(funnel.dropped)},
        "how": how,
        "splits": splits,
        "repairs": dict(funnel.repairs),
        "examples": funnel.examples,
        **log.as_dict(),
    }


def as_report(record: dict[str, Any]) -> Report:
    """Tell for people what a record holds."""
    documents = record["documents"]
    funnel = [
        ("files read", sum(record["files"].values())),
        ("documents read", documents["read"]),
        *((f"dropped: {reason}", -count) for reason, count in documents["dropped"].items()),
        ("documents kept", documents["kept"]),
    ]
    splits = [(name, part["documents"], part["bytes"]) for name, part in record["splits"].items()]
    sections: list[tuple[str, Section]] = [
        ("From files to documents", Table(("", "count"), tuple(funnel))),
        ("Splits", Table(("split", "documents", "bytes"), tuple(splits))),
        ("How it was split", Prose(HOW[record["how"]])),
    ]
    counts = {
        "Files by format": record["files"],
        "Encodings": record["encodings"],
        "Repairs (documents)": record["repairs"],
        "Left out on purpose (files)": record["skipped"],
        "Unreadable": record["unreadable"],
        "Cut": {"cuts in texts beyond the largest size": record["cut"]} if record["cut"] else {},
    }
    sections += [(title, Table.of(values, ("", "count"))) for title, values in counts.items() if values]
    if record["named"]:
        sections.append(("In words", Prose("\n".join(record["named"]), verbatim=True)))
    if record["examples"]:
        rows = tuple((row["what"], row["source"], row["before"], row["after"]) for row in record["examples"])
        sections.append(("Examples", Table(("what", "source", "text", "became"), rows)))
    return Report("Corpus", tuple(sections))


def _excerpt(text: str, at: int) -> str:
    start = max(0, at - _EXCERPT // 4)
    words = " ".join(text[start : start + _EXCERPT].encode("utf-8", "replace").decode().split())
    return ("... " if start else "") + words + (" ..." if start + _EXCERPT < len(text) else "")


def _first_difference(before: str, after: str) -> int:
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if before[:middle] == after[:middle] else (low, middle - 1)
    return low
