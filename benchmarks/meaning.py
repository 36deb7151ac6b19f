"""Duplicates by meaning: what a model finds of planted edits, what else it drops, and at what cost.

python benchmarks/meaning.py DATA MODEL    (the folder of dirty/; a run's directory, or any model's)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from duplicates import _by_kind, _false_drops, _lines

from textus.corpus.batch import batches
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.duplicates.clusters import preference
from textus.corpus.duplicates.config import SemanticConfig
from textus.corpus.duplicates.semantic import embedded, random_cosines, scaled, semantic_repeats
from textus.corpus.read import read
from textus.verbs.embedding import embedding

KINDS = ("near_dup", "clean")
THRESHOLDS = (0.99, 0.98, 0.97, 0.95, 0.9, 0.8)


def main() -> None:
    """Embed the documents with planted copies and those without, and drop by several thresholds."""
    folder, model = Path(sys.argv[1]) / "dirty", embedding(sys.argv[2])
    rows = list(read([folder / "dirty_dev.jsonl.zst"], CorpusConfig()))
    labels = [json.loads(line) for line in _lines(folder / "dirty_dev_labels.jsonl.zst")]
    chosen = [number for number, label in enumerate(labels) if label["kind"] in KINDS]
    labels = [labels[number] for number in chosen]
    texts = [clean(rows[number].text, CorpusConfig())[0] for number in chosen]
    began = time.process_time()
    groups = batches(Document(text, "") for text in texts)
    vectors = np.concatenate([embedded([one.text for one in group], model.embed) for group in groups])
    spent = time.process_time() - began
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6
    found: dict[str, Any] = {"documents": len(texts), "mb": round(size, 1), "mb_per_cpu_s": round(size / spent, 3)}
    places = preference(np.zeros(len(texts), np.int64), np.array([len(text) for text in texts]))
    for name, own in (("as they are", vectors), ("centred", scaled(vectors - vectors.mean(axis=0)))):
        chance = random_cosines(own, 1000, 0)
        found[name] = {"by chance": [round(float(chance[int(999 * share)]), 3) for share in (0.5, 0.99)]}
        for threshold in THRESHOLDS:
            dropped = semantic_repeats(own, places, SemanticConfig(threshold=threshold))
            match = dict(zip(dropped.documents.tolist(), dropped.matches.tolist(), strict=True))
            false = _false_drops(labels, texts, match)["clean"] if match else "0"
            found[name][str(threshold)] = {**_by_kind(labels, match), "clean dropped": false}
    print(json.dumps(found, indent=1), file=sys.stderr)
    print(json.dumps({"benchmark": "meaning", **found}))


if __name__ == "__main__":
    main()
