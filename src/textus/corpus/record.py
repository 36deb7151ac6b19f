"""What became of the documents on their way into a corpus, as a record for programs and a report for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textus.corpus.config import CorpusConfig
from textus.corpus.steps.samples import MOST
from textus.report import Prose, Report, Section, Table

HOW = {
    "documents": "Whole documents were held out, in the order of their content's hash, up to the share of bytes; near "
    "duplicates stand on one side together.",
    "group": "Whole groups of documents were held out, in the order of their name's hash, up to the share of bytes.",
    "time": "The newest documents were held out, up to the share of bytes.",
    "tails": "There are too few documents to hold out whole ones: the end of each was held out. Neighbouring passages "
    "of one text are alike, so this measures an easier thing than new documents would be.",
    "given": "The validation part is the one that was given; what repeats it left training as far as "
    "corpus.deduplicate says.",
}
_MOST_GROUPS = 20


def as_report(record: Mapping[str, Any], examples: int = MOST) -> Report:
    """Tell for people what a record holds, with up to so many examples of each kind."""
    sections = [*_funnel(record), *_split(record), *_quality(record), *_found(record), *_reading(record)]
    if record["named"]:
        sections.append(("In words", Prose("\n".join(record["named"]), verbatim=True)))
    if record["samples"] and examples:
        rows = tuple(_examples(record["samples"], examples))
        sections.append(("Examples", Table(("what", "source", "text", "became", "why"), rows)))
    if record["next"]:
        sections.append(("What to try next", Prose("\n".join(f"- {words}" for words in record["next"]), verbatim=True)))
    return Report("Corpus", tuple(sections))


def _examples(samples: Sequence[Mapping[str, str]], most: int) -> Iterator[tuple[str, ...]]:
    """Yield the first examples of each kind as rows, those of a kind together."""
    kinds: dict[str, list[tuple[str, ...]]] = {}
    for row in samples:
        kinds.setdefault(row["what"], []).append((row["what"], row["source"], row["before"], row["after"], row["note"]))
    for rows in kinds.values():
        yield from rows[:most]


def _funnel(record: Mapping[str, Any]) -> Iterator[tuple[str, Section]]:
    documents = record["documents"]
    rows = [
        ("files read", sum(record["files"].values())),
        ("documents read", documents["read"]),
        *((f"dropped: {reason}", -count) for reason, count in documents["dropped"].items()),
        ("documents kept", documents["kept"]),
    ]
    yield "From files to documents", Table(("", "count"), tuple(rows))
    sources = record["sources"]
    if len(sources) > 1:
        yield "By source", _by_source(sources, list(documents["dropped"]))


def _by_source(sources: Mapping[str, Any], reasons: Sequence[str]) -> Table:
    """Show of each source what every step left of it."""
    rows = []
    largest = sorted(sources, key=lambda name: -sources[name]["read"]["bytes"])
    for name in largest[:_MOST_GROUPS]:
        part = sources[name]
        dropped = (-part["dropped"].get(reason, {"documents": 0})["documents"] for reason in reasons)
        rows.append((name, part["read"]["documents"], *dropped, part["kept"]["documents"], part["kept"]["bytes"]))
    return Table(("source", "read", *reasons, "kept", "bytes kept"), tuple(rows))


def _split(record: Mapping[str, Any]) -> Iterator[tuple[str, Section]]:
    rows = tuple((name, part["documents"], part["bytes"]) for name, part in record["splits"].items())
    yield "Splits", Table(("split", "documents", "bytes"), rows)
    yield "How it was split", Prose(HOW[record["how"]])
    if record["leakage"]:
        yield "Leakage", Table.of(record["leakage"])


def _quality(record: Mapping[str, Any]) -> Iterator[tuple[str, Section]]:
    if record["would_drop"]:
        yield (
            "Documents that each rule of the profile `web` would drop by itself",
            Table.of(record["would_drop"], ("rule", "documents")),
        )
    for title, name in (("Languages", "languages"), ("Licences", "licences"), ("Personal data", "private")):
        if record[name]:
            yield title, Table.of(record[name], ("", "count" if name == "private" else "documents"))


def _found(record: Mapping[str, Any]) -> Iterator[tuple[str, Section]]:
    if record["clusters"]:
        yield "Near duplicates", Table.of(record["clusters"])
    if record["contamination"]:
        names = ("set", "documents", "items", "largest share of an item")
        yield "Evaluation sets found in the text", Table(names, tuple(tuple(row) for row in record["contamination"]))
    if record["taken_out"]:
        yield "Taken out of documents that stay", Table.of(record["taken_out"], ("", "count"))


def _reading(record: Mapping[str, Any]) -> Iterator[tuple[str, Section]]:
    counts = {
        "Files by format": record["files"],
        "Encodings": record["encodings"],
        "Repairs (documents)": record["repairs"],
        "Left out on purpose (files)": record["skipped"],
        "Unreadable": record["unreadable"],
        "Cut": {"cuts in texts beyond the largest size": record["cut"]} if record["cut"] else {},
    }
    yield from ((title, Table.of(values, ("", "count"))) for title, values in counts.items() if values)


def next_steps(record: Mapping[str, Any], config: CorpusConfig) -> list[str]:
    """Say what these counts suggest trying that was not asked for already, the most telling first."""
    read, kept = record["documents"]["read"], record["documents"]["kept"]
    found: list[str] = []
    web = record["would_drop"]
    if config.filter.profile != "web" and web and max(web.values()) > 0.02 * read:
        rule = max(web, key=web.__getitem__)
        found.append(
            f"{web[rule]} of {read} documents break the web rule `{rule}`: if this is web text, try "
            "corpus.filter.profile=web, which reads nothing again"
        )
    if len(record["languages"]) > 1 and not config.filter.languages:
        (first, count), *others = record["languages"].items()
        if count > 0.5 * read and sum(number for _, number in others) > 0.01 * read:
            found.append(f"most documents are in `{first}`: corpus.filter.languages=['{first}'] keeps only these")
    if any(count and config.privacy.of(kind) == "keep" for kind, count in record["private"].items()):
        found.append("personal data was found and kept: corpus.privacy.policy=redact puts placeholders in its place")
    if kept < 0.5 * read:
        found.append("more than half of the documents were dropped: look at the examples above whether rightly so")
    seen = record["leakage"].get("of these seen in training", 0)
    if seen and record["how"] in ("given", "group", "time"):
        found.append(
            f"{seen} of {record['leakage']['held-out documents']} held-out documents stand in training, so a score on "
            "them is too good: corpus.deduplicate=near takes out of training what is nearly like them"
        )
    if record["how"] == "tails":
        found.append("for a harder and more honest measure, give whole documents with corpus.validation=FILES")
    return found
