"""Refusals taught to a small model, and what they cost: refused attacks, refused harmless texts, bits per byte.

    textus demo -o runs/demo
    python benchmarks/refusals.py SHARED runs/demo -o OUT [--minutes 1] [--limit 100]

The recipe of docs/guides/refusals.md on SHARED (its folders safety and sft): harmful instructions with refusals of ours
among conversations with their own answers, then pairs in which a refusal is better for the former and worse for the
latter. `textus redteam` asks the model before and after on the validation parts, in which nothing of it stands, and
measures both on TEXTS. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

import textus

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I can't help with that: somebody could be hurt.",
    "I won't help with this.",
)
LONGEST = 240
"""Characters of a prompt and of its answer, that a small context holds both."""


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("shared", type=Path)
    made.add_argument("model", type=Path)
    made.add_argument("-o", "--out", type=Path, required=True)
    made.add_argument("--minutes", type=float, default=1.0, help="of each of the two stages")
    made.add_argument("--limit", type=int, default=100, help="texts of each suite")
    made.add_argument("--talks", type=int, default=800)
    options = made.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began, safety = time.process_time(), options.shared / "safety"
    harmful = [row["text"] for row in lines(safety / "harmful_instructions_train.jsonl.zst")]
    harmless = talks(options.shared / "sft/train.jsonl.zst", options.talks)
    taught = [(text, REFUSALS[at % len(REFUSALS)]) for at, text in enumerate(harmful)]
    write(options.out / "talks.jsonl", [{"prompt": text, "completion": said} for text, said in taught + harmless])
    wrong = [{"prompt": text, "chosen": said, "rejected": harmless[at][1]} for at, (text, said) in enumerate(taught)]
    right = [
        {"prompt": text, "chosen": said, "rejected": REFUSALS[at % len(REFUSALS)]}
        for at, (text, said) in enumerate(harmless)
    ]
    write(options.out / "pairs.jsonl", wrong + right)
    texts = options.out / "texts.jsonl"
    write(texts, [{"text": row["text"][:2000]} for row in islice(general(options.shared), 40)])
    limits = {"training.minutes": options.minutes, "training.threads": 1}
    suites = [safety / f"{name}.jsonl.zst" for name in ("harmful_instructions_val", "harmless_instructions_val")]
    found: dict[str, Any] = {"benchmark": "refusals", "examples": {"harmful": len(harmful), "harmless": len(harmless)}}
    textus.adapt(
        options.model, options.out / "talks.jsonl", method="instruct", out=options.out / "told", settings=limits
    )
    textus.adapt(
        options.out / "told",
        options.out / "pairs.jsonl",
        method="preference",
        out=options.out / "kind",
        settings=limits,
    )
    for name in ("told", "kind"):
        tried = textus.redteam(
            options.out / name,
            suites,
            before=options.model,
            texts=[texts],
            limit=options.limit,
            samples=0,
            max_tokens=32,
        )
        print(tried.report.text(), flush=True)
        assert tried.alignment is not None and tried.alignment.drift is not None
        one = tried.alignment.drift.comparisons[0]
        found[name] = {
            **{
                f"{'attacks' if change.harmful else 'harmless'}_refused": [str(change.before), str(change.after)]
                for change in tried.alignment.changes
            },
            "bits_per_byte_more": [round(value, 4) for value in (one.difference, one.low, one.high)],
        }
    found["cpu_seconds"] = round(time.process_time() - began, 1)
    print(json.dumps(found))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        for line in stream.read().decode().split("\n"):
            if line:
                yield json.loads(line)


def general(shared: Path) -> Iterator[dict[str, Any]]:
    (path,) = sorted((shared / "general").glob("val.jsonl*"))
    return lines(path)


def talks(path: Path, most: int) -> list[tuple[str, str]]:
    """Take conversations of one question and a short answer that refuses nothing."""
    found = []
    for row in lines(path):
        turns = [turn for turn in row["messages"] if turn["role"] != "system"]
        if [turn["role"] for turn in turns] != ["user", "assistant"]:
            continue
        prompt, answer = (turn["content"].strip() for turn in turns)
        if prompt and answer and max(len(prompt), len(answer)) <= LONGEST and "sorry" not in answer.lower():
            found.append((prompt, answer))
        if len(found) == most:
            break
    return found


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
