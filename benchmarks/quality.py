"""What each step of the corpus stage is worth: bits per byte of clean held-out text, with and without it.

python benchmarks/quality.py DATA OUT [--seeds 3] [--steps 120] [--share 1] [--times 1] [--arms NAME ...] [key=value]

DATA is the folder that holds dirty/ and general/. Models learn from the web-like dirt of dirty/, with its planted
copies, boilerplate, spam, other languages and broken encodings, and are measured on clean encyclopedia text of
general/. All have the same shape, tokens and steps. OUT keeps what is done: the same command goes on where it was
stopped.

A model of this size that reads a few percent of the text meets hardly any copy twice. `--share` takes a part of the
dirt, whole groups of copies at a time, so that the same steps go over it several times; `--times` writes every
document of such a group so many times, as crawls do with what many sites carry.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import zlib
from pathlib import Path

import zstandard

import textus
from textus.cli.console import console

FULL = {
    "corpus.filter.profile": "web",
    "corpus.filter.languages": ("en",),
    "corpus.passages.action": "remove",
    "corpus.work.workers": 1,
    "tokenizer.vocab_size": 2048,
    "model.context_length": 256,
    "model.num_layers": 2,
    "model.hidden_size": 96,
    "training.batch_tokens": 1024,
    "training.threads": 1,
    "training.evaluate_tokens": 16_384,
}
FILTER = "corpus.filter.profile=none+corpus.filter.languages=[]"
REPEATS = "corpus.boilerplate.action=keep+corpus.passages.action=keep"
COPIES, REPAIR = "corpus.deduplicate=none", "corpus.fix_unicode=false"
ARMS = {
    "filters": FILTER,
    "copies": COPIES,
    "repeats": REPEATS,
    "both": f"{COPIES}+{REPEATS}",  # passages take out of a copy what deduplication would drop
    "repair": REPAIR,
    "all": "+".join((FILTER, COPIES, REPEATS, REPAIR)),
}


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path)
    made.add_argument("out", type=Path)
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--steps", type=int, default=120)
    made.add_argument("--held-out-mb", type=float, default=0.25)
    made.add_argument("--share", type=float, default=1.0)
    made.add_argument("--times", type=int, default=1)
    made.add_argument("--arms", nargs="+", choices=sorted(ARMS), default=list(ARMS))
    made.add_argument("settings", nargs="*", metavar="key=value")
    options = made.parse_args()
    given = dict(item.split("=", 1) for item in options.settings)
    texts = options.out.with_name(f"{options.out.name}_texts")
    found = textus.ablate(
        dirt(options.data / "dirty", texts / "dirty.jsonl", options.share, options.times),
        tuple(ARMS[name] for name in options.arms),
        held_out=encyclopedia(options.data / "general/val.jsonl.zst", texts / "clean.jsonl"),
        held_out_mb=options.held_out_mb,
        seeds=options.seeds,
        out=options.out,
        settings={**FULL, "training.steps": options.steps, **{key: json.loads(value) for key, value in given.items()}},
        progress=console(),
    )
    print(found.report().markdown(), file=sys.stderr)
    print(json.dumps({"benchmark": "quality", **found.as_dict()}))


def dirt(folder: Path, place: Path, share: float, times: int) -> Path:
    """Write a share of the dirt once, for what a file holds is known by its time: a group of copies whole, or none."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        chosen: list[bytes] = []
        labels = lines(folder / "dirty_dev_labels.jsonl.zst")
        for line, label in zip(lines(folder / "dirty_dev.jsonl.zst"), map(json.loads, labels), strict=True):
            group, passage = label.get("dup_group"), label.get("passage_group")
            name = f"copies {group}" if group is not None else f"passage {passage}" if passage else label["id"]
            if zlib.crc32(name.encode()) < share * 2**32:
                chosen += [line] * (times if group is not None else 1)
        random.Random(0).shuffle(chosen)
        place.write_bytes(b"\n".join(chosen))
    return place


def lines(packed: Path) -> list[bytes]:
    with packed.open("rb") as source:
        return zstandard.ZstdDecompressor().stream_reader(source).read().splitlines()


def encyclopedia(packed: Path, place: Path) -> Path:
    """Take the encyclopedia's articles out of the clean text: the dirt was made from other articles of it."""
    if not place.exists():
        place.write_bytes(b"\n".join(line for line in lines(packed) if json.loads(line)["source"] == "wiki2014"))
    return place


if __name__ == "__main__":
    main()
