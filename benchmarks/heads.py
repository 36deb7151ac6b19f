"""Heads on a small encoder: SST-2, CoLA, EWT tags and Cranfield, beside simpler ways, on a CPU.

    python benchmarks/heads.py SHARED --minutes 2 --examples 3000 --seeds 3 -o /tmp/heads

SHARED holds the folders babylm_style, classification, tagging and retrieval. The encoder is trained on part of the
BabyLM-like text first (not the official ten million words). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

import textus


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0, help="of training the encoder")
    parser.add_argument("--megabytes", type=float, default=8.0, help="of text that it learns from")
    parser.add_argument("--examples", type=int, default=3000, help="training examples of each task, at most")
    parser.add_argument("--measured", type=int, default=1500, help="examples that measure, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", default="", help="one of sst2, cola, ewt, cranfield")
    parser.add_argument("-o", "--out", type=Path, required=True)
    return parser.parse_args()


def lines(path: Path) -> list[dict[str, Any]]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        return [json.loads(line) for line in stream.read().decode().splitlines()]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def encoder(options: argparse.Namespace) -> Path:
    """Train the encoder, or open it where it is there."""
    text, size = options.out / "text.jsonl", 0
    if not text.is_file():
        kept = []
        for row in lines(options.shared / "babylm_style" / "train.jsonl.zst"):
            size += len(row["text"].encode())
            if size > options.megabytes * 1e6:
                break
            kept.append(row)
        written(text, kept)
    settings = {
        "objective.name": "masked",
        "training.minutes": options.minutes,
        "model.context_length": 128,
        "corpus.deduplicate": "none",
    }
    textus.train(text, out=options.out / "encoder", settings=settings)
    return options.out / "encoder"


def tasks(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Write the examples of each task, and say how it is adapted to."""
    shared, out, most, measured = options.shared, options.out, options.examples, options.measured
    labels, tags = shared / "classification", shared / "tagging"
    parts = {
        "sst2": (labels / "sst2_train.jsonl.zst", labels / "sst2_val.jsonl.zst"),
        "cola": (labels / "cola_train.jsonl.zst", labels / "cola_in_domain_dev.jsonl.zst"),
        "ewt": (tags / "ud_ewt_train.jsonl.zst", tags / "ud_ewt_dev.jsonl.zst"),
    }
    found = {}
    for name, (train, test) in parts.items():
        found[name] = {
            "data": written(out / f"{name}.jsonl", lines(train)[:most]),
            "method": "tag" if name == "ewt" else "classify",
            "settings": {"data.test": [str(written(out / f"{name}-test.jsonl", lines(test)[:measured]))]},
        }
    found["ewt"]["settings"]["data.tags"] = "upos"
    found["cranfield"] = {
        "data": shared / "retrieval" / "cranfield",
        "method": "embed",
        "settings": {"data.test_fraction": 0.5, "training.batch_size": 32},
    }
    return found


def main() -> None:
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    start = encoder(options)
    found: dict[str, Any] = {"parameters": textus.load(start).config.num_parameters()}
    for name, task in tasks(options).items():
        if options.only not in ("", name):
            continue
        settings = {
            "training.seeds": options.seeds,
            "training.epochs": options.epochs,
            "data.too_long": "cut",
            "beside.random_init": task["method"] != "embed",
            **task["settings"],
        }
        began = time.process_time()
        adapted = textus.adapt(start, task["data"], method=task["method"], out=options.out / name, settings=settings)
        print(f"\n{name}, {time.process_time() - began:.0f} CPU s\n{adapted.report.text()}", file=sys.stderr)
        found[name] = {"rows": adapted.facts["rows"], "examples": adapted.facts["examples"],
                       "learning_rate": adapted.facts["learning_rate"], "epoch": adapted.facts["epoch"]}  # fmt: skip
    print(json.dumps({"benchmark": "heads", **found}))


if __name__ == "__main__":
    main()
