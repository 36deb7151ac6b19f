"""Near-duplicates: what is found of planted edits, at what cost, and what a split by clusters keeps from leaking.

python benchmarks/duplicates.py DATA [FILES...]    (the folder of general/, domain/ and dirty/; FILES are timed only)
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from textus.corpus.batch import TextBatch, batches
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.deduplicate import content_digests
from textus.corpus.document import Document
from textus.corpus.duplicates.candidates import candidate_pairs, merged
from textus.corpus.duplicates.clusters import clusters, preference, repeats
from textus.corpus.duplicates.config import DuplicatesConfig, LeakageConfig
from textus.corpus.duplicates.leakage import HeldOut, Leakage, known
from textus.corpus.duplicates.minhash import band_keys, keys_of
from textus.corpus.duplicates.search import joined, verified_pairs
from textus.corpus.duplicates.verify import overlaps, shingle_sets
from textus.corpus.read import read
from textus.corpus.split import VALIDATION, by_document

RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
BINS = (0.95, 0.9, 0.82, 0.755, 0.63, 0.48, 0.36)
BANDS = ((14, 8), (20, 6), (25, 5), (28, 4), (24, 3))


def documents(path: Path, most: int = 10**9) -> list[str]:
    found, size = [], 0
    for document in read([path], CorpusConfig(maximum_document_mb=64)):
        found.append(clean(document.text, CorpusConfig())[0])
        size += len(found[-1])
        if size > most:
            break
    return found


def timed(job: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    found = job()
    return found, time.process_time() - began


def megabytes(texts: Iterable[str]) -> float:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6


def runs_of(text: str) -> set[tuple[int, ...]]:
    words = TextBatch([text]).word_hashes.tolist()
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))} if words else set()


def jaccard(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / max(len(one | other), 1)


def planted(texts: list[str]) -> dict[str, Any]:
    """Edit words of real documents at several rates; say what is found by the true Jaccard index of Python's sets."""
    rng = np.random.default_rng(0)
    originals = [text for text in texts if 100 <= len(text.split()) <= 2000][:400]
    vocabulary = sorted({word for text in originals for word in text.split()})
    copies = []
    for rate in RATES:
        for text in originals:
            words = text.split()
            for place in np.flatnonzero(rng.random(len(words)) < rate):
                words[place] = vocabulary[rng.integers(len(vocabulary))]
            copies.append(" ".join(words))
    whole, sets = [runs_of(text) for text in originals], [runs_of(text) for text in copies]
    true = np.array([jaccard(whole[number % len(whole)], runs) for number, runs in enumerate(sets)])
    nearest = np.argmin(np.abs(true[:, None] - np.array(BINS)), axis=1)
    exact = (true >= 0.79) & (true <= 0.81)
    rows: dict[str, Any] = {"pairs": {str(at): int((nearest == n).sum()) for n, at in enumerate(BINS)}}
    for bands, width in BANDS:
        config = DuplicatesConfig(bands=bands, rows=width)
        one, other = band_keys(TextBatch(originals), config), band_keys(TextBatch(copies), config)
        found = (np.tile(one, (len(RATES), 1)) == other).any(axis=1)
        rows[f"{bands}x{width}"] = {
            str(at): round(float(found[nearest == n].mean()), 4) for n, at in enumerate(BINS)
        } | {
            "0.8": round(float(found[exact].mean()), 4),
            "0.8 by the formula": round(float(np.mean([config.recall(float(at)) for at in true[exact]])), 4),
        }
    rows["pairs from 0.79 to 0.81"] = int(exact.sum())
    config = DuplicatesConfig()
    pairs, found_overlaps = verified_pairs(originals + copies, config)
    kept = found_overlaps.jaccard >= config.threshold
    everything = whole + sets
    truth = np.array([jaccard(everything[a], everything[b]) for a, b in pairs[kept].tolist()])
    rows["verified"] = {
        "candidates": len(pairs),
        "unlike (below 0.5) among candidates": int((found_overlaps.jaccard < 0.5).sum()),
        "pairs kept": int(kept.sum()),
        "precision": float((truth >= config.threshold).mean()),
        "largest error of a score": float(np.abs(truth - found_overlaps.jaccard[kept]).max()),
    }
    return rows


def dirty(folder: Path) -> dict[str, Any]:
    """Say what is dropped of the planted duplicates by kind and edit rate, and what of the documents that are none."""
    rows = list(read([folder / "dirty_dev.jsonl.zst"], CorpusConfig()))
    labels = [json.loads(line) for line in _lines(folder / "dirty_dev_labels.jsonl.zst")]
    texts = [clean(row.text, CorpusConfig())[0] for row in rows]
    found: dict[str, Any] = {}
    for threshold in (0.8, 0.7, 0.5):
        config = DuplicatesConfig(threshold=threshold)
        lengths = np.array([len(text) for text in texts])
        pairs, scores = verified_pairs(texts, config)
        alike = {tuple(pair) for pair in pairs[scores.jaccard >= threshold].tolist()}
        dropped = repeats(pairs, scores, preference(np.zeros(len(texts), int), lengths), config)
        match = dict(zip(dropped.documents.tolist(), dropped.matches.tolist(), strict=True))
        found[str(threshold)] = (
            _by_kind(labels, match) | _pairs(labels, texts, alike, threshold) | _false_drops(labels, texts, match)
        )
    return found


def _groups(labels: list[dict[str, Any]]) -> list[list[int]]:
    groups = defaultdict(list)
    for number, label in enumerate(labels):
        if label.get("dup_group") is not None:
            groups[label["dup_group"]].append(number)
    return list(groups.values())


def _by_kind(labels: list[dict[str, Any]], match: dict[int, int]) -> dict[str, Any]:
    """Count documents that are dropped for a copy of theirs, or kept for one, by kind and share of words edited."""
    wanted: Counter[str] = Counter()
    got: Counter[str] = Counter()
    for members in _groups(labels):
        kind = labels[members[0]]["kind"]
        if kind == "near_dup":
            joined_to = {number for number in members if match.get(number) in members}
            joined_to |= {match[number] for number in joined_to}
            for number in members:
                if edit := labels[number]["edit"]:
                    wanted[f"near_dup {edit}"] += 1
                    got[f"near_dup {edit}"] += number in joined_to
        else:
            wanted[kind] += len(members) - 1
            got[kind] += sum(match.get(number) in members for number in members)
    return {kind: f"{got[kind]}/{wanted[kind]}" for kind in sorted(wanted)}


def _pairs(
    labels: list[dict[str, Any]], texts: list[str], alike: set[tuple[int, ...]], threshold: float
) -> dict[str, str]:
    """Count the pairs within planted groups that are truly so alike, and which of them are found."""
    wanted = got = 0
    for members in _groups(labels):
        runs = {number: runs_of(texts[number]) for number in members}
        for one, other in combinations(members, 2):
            if jaccard(runs[one], runs[other]) >= threshold:
                wanted += 1
                got += (one, other) in alike
    return {"pairs truly so alike": f"{got}/{wanted}"}


def _false_drops(labels: list[dict[str, Any]], texts: list[str], match: dict[int, int]) -> dict[str, Any]:
    """Count what is dropped for a document of another origin, and how like the two really are."""
    likeness = defaultdict(list)
    for number, other in match.items():
        one, two = labels[number], labels[other]
        same = one.get("dup_group") is not None and one.get("dup_group") == two.get("dup_group")
        if not same and (one.get("base") is None or one.get("base") != two.get("base")):
            likeness[one["kind"]].append(jaccard(runs_of(texts[number]), runs_of(texts[other])))
    totals = Counter(label["kind"] for label in labels)
    return {
        "dropped for another origin": {
            kind: f"{len(found)}/{totals[kind]}, least likeness {min(found):.2f}" for kind, found in likeness.items()
        },
        "clean": f"{len(likeness['clean'])}/{totals['clean']}",
    }


def _lines(path: Path) -> Iterable[str]:
    import zstandard

    with path.open("rb") as file:
        yield from zstandard.ZstdDecompressor().stream_reader(file).read().decode().splitlines()


def cost(texts: list[str]) -> dict[str, Any]:
    """Time each step in CPU seconds."""
    config, size = DuplicatesConfig(), megabytes(texts)
    groups = [[document.text for document in group] for group in batches(Document(text, "") for text in texts)]
    TextBatch(groups[0]).ngrams(5)
    grams, words_s = timed(lambda: [TextBatch(group).ngrams(5) for group in groups])
    keys, keys_s = timed(lambda: np.concatenate([keys_of(*part, config) for part in grams]))
    shared = [TextBatch(group) for group in groups]
    for batch in shared:
        batch.ngrams(5)
    numbers = np.arange(len(keys))
    pairs, pairs_s = timed(lambda: merged(candidate_pairs(column, numbers, config) for column in keys.T))
    sets = joined(shingle_sets(batch) for batch in shared)
    found, verify_s = timed(lambda: overlaps(pairs, *sets))
    return {
        "mb": round(size, 1),
        "documents": len(texts),
        "words and their runs, mb_per_cpu_s": round(size / words_s, 1),
        "signatures 28x4, mb_per_cpu_s": round(size / keys_s, 1),
        "both, mb_per_cpu_s": round(size / (words_s + keys_s), 1),
        "pairing_cpu_s": round(pairs_s, 3),
        "candidates": len(pairs),
        "verify_cpu_s": round(verify_s, 3),
        "pairs_from_0.8": int((found.jaccard >= 0.8).sum()),
        "pairs_from_0.5": int((found.jaccard >= 0.5).sum()),
    }


def leak(texts: list[str]) -> dict[str, Any]:
    """Hold 5 % out by content and by cluster, and say what of it was seen; nothing is dropped first."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    keys = np.frombuffer(content_digests(encoded), ">u8").reshape(-1, 2).astype(np.uint64)
    sizes, config = np.array(list(map(len, encoded)), np.int64), DuplicatesConfig()
    pairs, found = verified_pairs(texts, config)
    joins = pairs[found.jaccard >= config.related]
    grouped = clusters(joins, keys, sizes, config)
    rng = np.random.default_rng(0)
    apart = np.stack((np.arange(len(texts)), np.zeros(len(texts))), axis=1).astype(np.uint64)
    splits = {
        "random": by_document(rng.permutation(apart), sizes, {VALIDATION: 0.05}),
        "content": by_document(keys, sizes, {VALIDATION: 0.05}),
        "cluster": by_document(grouped.keys, sizes, {VALIDATION: 0.05}, grouped.oversized),
    }
    rows: dict[str, Any] = {"clusters": grouped.count, "documents": len(texts)}
    rows["oversized_bytes"] = round(float(sizes[grouped.oversized].sum() / sizes.sum()), 4)
    for name, parts in splits.items():
        rows[name], moved = _leakage(texts, sizes, parts)
        if name == "cluster":
            splits[name][moved] = 0
            rows["cluster, what is known moved"], _ = _leakage(texts, sizes, parts)
    return rows


def _leakage(texts: list[str], sizes: Any, parts: Any) -> tuple[dict[str, Any], Any]:
    """Return what leaked, and which documents are better trained on."""
    held_out = np.flatnonzero(parts == VALIDATION)
    others = [texts[number] for number in np.flatnonzero(parts == 0).tolist()]
    sets = joined(shingle_sets(TextBatch([texts[number]])) for number in held_out.tolist())
    hidden = HeldOut.of(*sets, LeakageConfig())
    matches, seconds = timed(lambda: _look(hidden, others))
    found = Leakage.of(matches, len(held_out))
    summary = found.summary(sizes[held_out])
    row = {
        "held_out": len(held_out),
        "share_of_bytes": round(float(sizes[held_out].sum() / sizes.sum()), 4),
        "leaked_documents": round(summary.share, 4),
        "leaked_bytes": round(summary.share_of_bytes, 4),
        "mb_per_cpu_s": round(megabytes(others) / seconds, 1),
    }
    return row, held_out[known(found, hidden.seen_in(*sets))]


def _look(hidden: HeldOut, texts: list[str]) -> list[Any]:
    found, first = [], 0
    for group in batches(Document(text, "") for text in texts):
        found.append(hidden.seen_in(*shingle_sets(TextBatch([document.text for document in group])), first=first))
        first += len(group)
    return found


def main() -> None:
    data = Path(sys.argv[1])
    general, law = data / "general/val.txt.xz", data / "domain/us_dc_law_train.jsonl.zst"
    prose = documents(general)
    found = {
        "planted": planted(prose),
        "dirty_dev": dirty(data / "dirty"),
        "cost": {"prose": cost(prose), "law": cost(documents(law, 20_000_000))}
        | {Path(path).name: cost(documents(Path(path))) for path in sys.argv[2:]},
        "leak": {
            "law": leak(documents(law)),
            "python": leak(documents(data / "domain/python_stdlib_train.jsonl.zst")),
            "dirty_dev": leak(documents(data / "dirty/dirty_dev.jsonl.zst")),
        },
    }
    print(json.dumps(found, indent=1), file=sys.stderr)
    print(json.dumps({"benchmark": "duplicates", **found}))


if __name__ == "__main__":
    main()
