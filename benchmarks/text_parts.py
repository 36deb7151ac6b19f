"""Personal data, boilerplate, passages and contamination: what is found of what was planted, what else, and the speed.

python benchmarks/text_parts.py DATA [EVAL_SETS]

DATA holds `dirty/` with labels, and `general/` and `domain/` with text that should stay as it is; EVAL_SETS is the
folder of evaluation sets, `DATA/eval` unless given. Speeds are megabytes of UTF-8 per CPU second of this process.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import zstandard

from textus.corpus.batch import TextBatch, text_batches
from textus.corpus.contamination import index as items_index
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.items import read_items
from textus.corpus.contamination.score import match
from textus.corpus.contamination.score import spans as item_spans
from textus.corpus.passages import passages as repeats
from textus.corpus.passages.boilerplate import boilerplate, line_keys, merged, remove_lines, repeated_lines
from textus.corpus.passages.config import BoilerplateConfig, PassagesConfig
from textus.corpus.passages.cut import without_words
from textus.corpus.privacy.find import count, find

LABELS = {"phone_us": "phone", "api_key": "secret", "credit_card": "card", "ipv4": "ip_address"}
GOOD = ("general/val", "domain/python_stdlib_train", "domain/us_dc_law_train", "domain/pubmed_abstracts_train")
COPIES = ("exact_dup", "near_dup", "near_dup_real_edition", "normal_dup")


def records(path: Path) -> list[dict[str, Any]]:
    with zstandard.open(path, "rb") as file:
        return [json.loads(line) for line in io.TextIOWrapper(file, "utf-8")]


def megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6


class Clock:
    """CPU seconds by name, over many batches."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.seconds: Counter[str] = Counter()
        self._megabytes = megabytes(texts)

    def time(self, name: str, function: Callable[[], Any]) -> Any:
        """Call a function and add its CPU seconds to those of its name."""
        began = time.process_time()
        result = function()
        self.seconds[name] += time.process_time() - began
        return result

    def speeds(self) -> dict[str, float]:
        """Return megabytes per CPU second by name."""
        return {name: round(self._megabytes / seconds, 1) for name, seconds in self.seconds.items()}


def batches(texts: Sequence[str], clock: Clock) -> Iterator[tuple[int, TextBatch]]:
    """Make batches with words and their hashes, which all parts share, and time that by itself."""
    first = 0
    for batch in text_batches(texts):
        clock.time("words and their hashes, shared", lambda batch=batch: batch.word_hashes)
        yield first, batch
        first += len(batch)


def f1(text: str, clean: str) -> float:
    found, wanted = Counter(text.split()), Counter(clean.split())
    return 2 * (found & wanted).total() / max(1, found.total() + wanted.total())


def privacy(texts: list[str], labels: list[dict[str, Any]], good: dict[str, list[str]]) -> dict[str, Any]:
    clock = Clock(texts)
    clock.time("all kinds", lambda: count(texts, TextBatch(texts)))
    rows: dict[str, Any] = {}
    for checked in (False, True):
        planted, right, more = Counter[str](), Counter[str](), Counter[str]()
        for text, label in zip(texts, labels, strict=True):
            if label["kind"] == "pii":
                found = Counter((one.kind, text[one.start : one.end]) for one in find(text, checked=checked))
                wanted = Counter((LABELS.get(kind, kind), string) for kind, string in label["pii"])
                planted.update(kind for kind, _ in wanted.elements())
                right.update(kind for kind, _ in (found & wanted).elements())
                more.update(kind for kind, _ in (found - wanted).elements())
        rows["checked" if checked else "all"] = {kind: [right[kind], planted[kind], more[kind]] for kind in planted}
    per_mb = {
        name: {
            kind: round(int(found.sum()) / megabytes(own), 2)
            for kind, found in count(own, TextBatch(own)).items()
            if found.sum()
        }
        for name, own in good.items()
    }
    return {"speed": clock.speeds(), "right, planted, more": rows, "findings per MB": per_mb}


def lines(texts: list[str]) -> tuple[list[str], dict[str, float]]:
    config, clock = BoilerplateConfig(), Clock(texts)
    counts = [clock.time("lines, map", lambda b=batch: line_keys(b)) for _, batch in batches(texts, clock)]
    repeated = clock.time("lines, reduce", lambda: repeated_lines(merged(counts), len(texts), config))
    left: list[str] = []
    for _, batch in batches(texts, clock):
        left += clock.time("lines, apply", lambda b=batch: remove_lines(b, boilerplate(b, repeated, config)))
    return left, clock.speeds()


def boilerplate_lines(texts: list[str], labels: list[dict[str, Any]], good: dict[str, list[str]]) -> dict[str, Any]:
    left, speed = lines(texts)
    rows = [(a, b, c["clean_text"]) for a, b, c in zip(texts, left, labels, strict=True) if c["kind"] == "boilerplate"]
    others = sum(a != b for a, b, c in zip(texts, left, labels, strict=True) if c["kind"] != "boilerplate")
    removed = {
        name: round(1 - megabytes(lines(own)[0]) / megabytes(own), 6)
        for name, own in good.items()
    }  # fmt: skip
    return {
        "speed": speed,
        "word F1 against clean_text, before and after": [
            round(sum(f1(row[which], row[2]) for row in rows) / len(rows), 4) for which in (0, 1)
        ],
        "changed documents of other kinds": others,
        "share of bytes removed": removed,
    }


def contamination(
    texts: list[str], labels: list[dict[str, Any]], good: dict[str, list[str]], sets: Path
) -> dict[str, Any]:
    config, clock = ContaminationConfig(), Clock(texts)
    began = time.process_time()
    index = items_index.build_index(read_items([sets]), config)
    built = time.process_time() - began

    def hits(own: list[str], clock: Clock) -> items_index.Hits:
        return items_index.joined([
            clock.time("probe", lambda b=batch: items_index.probe(b, index)).shifted(first)
            for first, batch in batches(own, clock)
        ])  # fmt: skip

    found = hits(texts, clock)
    matches = clock.time("decide", lambda: match(found, index, len(texts), config))
    contaminated = set(matches.documents.tolist())
    runs: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for document, start, end in zip(*(column.tolist() for column in item_spans(found, matches, index)), strict=True):
        runs[document].append((start, end))
    scores = [
        (f1(text, label["clean_text"]), f1(without_words(TextBatch([text]), 0, runs[n]), label["clean_text"]))
        for n, (text, label) in enumerate(zip(texts, labels, strict=True))
        if label["kind"] == "eval_contamination"
    ]
    kinds = Counter(labels[document]["kind"] for document in contaminated)
    elsewhere = {
        name: len(set(match(hits(own, Clock(own)), index, len(own), config).documents.tolist()))
        for name, own in good.items()
    }
    return {
        "items": len(index.items), "grams": len(index.hashes), "seconds to read and index": round(built, 1),
        "speed": clock.speeds(), "found by kind": kinds, "planted": len(scores), "found elsewhere": elsewhere,
        "word F1 against clean_text, before and after": [
            round(sum(score) / len(scores), 4) for score in zip(*scores, strict=True)
        ],
    }  # fmt: skip


def repeated_passages(texts: list[str], clock: Clock) -> dict[int, list[tuple[int, int]]]:
    config = PassagesConfig()
    found = repeats.joined([
        clock.time("anchors", lambda b=batch: repeats.anchors(b, config)).shifted(first)
        for first, batch in batches(texts, clock)
    ])  # fmt: skip
    anchors = clock.time("anchors, sort", lambda: repeats.repeated_anchors(found.sorted()))
    every = repeats.joined([
        clock.time("windows", lambda b=batch: repeats.windows(b, anchors, config)).shifted(first)
        for first, batch in batches(texts, clock)
    ])  # fmt: skip
    decided = clock.time("windows, sort", lambda: repeats.passages(every.sorted(), config))
    same = clock.time("verify", lambda: repeats.verified(decided, texts.__getitem__))
    assert same.all()
    return repeats.spans(decided.where(same))


def passages(texts: list[str], labels: list[dict[str, Any]], good: dict[str, list[str]]) -> dict[str, Any]:
    # Copies are the business of deduplication: one document of each group of them is left here.
    seen: set[str] = set()
    rows = []
    for text, label in zip(texts, labels, strict=True):
        key = str(label["dup_group"]) if label["kind"] in COPIES else text
        if key not in seen:
            rows.append((text, label))
        seen.add(key)
    own, clock = [text for text, _ in rows], Clock([text for text, _ in rows])
    runs = repeated_passages(own, clock)
    members = defaultdict(list)
    shares: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, (text, label) in enumerate(rows):
        size = sum(end - start for start, end in runs.get(number, []))
        shares[label["kind"]][0] += size
        shares[label["kind"]][1] += len(TextBatch([text]).words)
        if label["kind"] == "shared_passage":
            members[label["passage_group"]].append((size, label["passage_words"]))
    pairs = [pair for pair in members.values() if len(pair) == 2]
    return {
        "speed": clock.speeds(), "pairs": len(pairs), "found": sum(pair[1][0] > 0 for pair in pairs),
        "with 95 % of the words": sum(pair[1][0] >= 0.95 * pair[1][1] for pair in pairs),
        "share of words by kind": {kind: round(a / max(1, b), 4) for kind, (a, b) in shares.items() if a},
        "share of words": {
            name: round(
                sum(end - start for run in repeated_passages(own, Clock(own)).values() for start, end in run)
                / sum(map(len, map(str.split, own))), 4
            )
            for name, own in good.items()
        },
    }  # fmt: skip


def main() -> None:
    data = Path(sys.argv[1])
    sets = Path(sys.argv[2]) if len(sys.argv) > 2 else data / "eval"
    documents, labels = records(data / "dirty/dirty_dev.jsonl.zst"), records(data / "dirty/dirty_dev_labels.jsonl.zst")
    texts = [document["text"] for document in documents]
    good = {name: list({row["text"]: 0 for row in records(data / f"{name}.jsonl.zst")}) for name in GOOD}
    first = list({text: number for number, text in reversed(list(enumerate(texts)))}.values())[::-1]
    unique, own_labels = [texts[number] for number in first], [labels[number] for number in first]
    result = {
        "privacy": privacy(texts, labels, good),
        "boilerplate": boilerplate_lines(unique, own_labels, good),
        "contamination": contamination(texts, labels, good, sets),
        "passages": passages(unique, own_labels, good),
    }
    for name, row in result.items():
        print(name, json.dumps(row, indent=1), file=sys.stderr)
    print(json.dumps({"benchmark": "text_parts", **result}))


if __name__ == "__main__":
    main()
