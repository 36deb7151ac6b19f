"""What each step of the corpus stage is worth: bits per byte of clean held-out text, with and without it.

python benchmarks/quality.py DATA OUT [--seeds 3] [--steps 120] [key=value ...]

DATA is the folder that holds dirty/ and general/. Models learn from the web-like dirt of dirty/, with its planted
copies, boilerplate, spam, other languages and broken encodings, and are measured on clean encyclopedia text of
general/. All have the same shape, tokens and steps. OUT keeps what is done: the same command goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
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
VARY = (FILTER, COPIES, REPEATS, REPAIR, "+".join((FILTER, COPIES, REPEATS, REPAIR)))


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path)
    made.add_argument("out", type=Path)
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--steps", type=int, default=120)
    made.add_argument("--held-out-mb", type=float, default=0.25)
    made.add_argument("settings", nargs="*", metavar="key=value")
    options = made.parse_args()
    given = dict(item.split("=", 1) for item in options.settings)
    texts = options.out.with_name(f"{options.out.name}_texts")
    found = textus.ablate(
        unpacked(options.data / "dirty/dirty_dev.jsonl.zst", texts / "dirty.jsonl"),
        VARY,
        held_out=encyclopedia(options.data / "general/val.jsonl.zst", texts / "clean.jsonl"),
        held_out_mb=options.held_out_mb,
        seeds=options.seeds,
        out=options.out,
        settings={**FULL, "training.steps": options.steps, **{key: json.loads(value) for key, value in given.items()}},
        progress=console(),
    )
    print(found.report().markdown(), file=sys.stderr)
    print(json.dumps({"benchmark": "quality", **found.as_dict()}))


def unpacked(packed: Path, place: Path) -> Path:
    """Unpack a file once: what it holds is known by its time."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with packed.open("rb") as source, place.open("wb") as target:
            zstandard.ZstdDecompressor().copy_stream(source, target)
    return place


def encyclopedia(packed: Path, place: Path) -> Path:
    """Take the encyclopedia's articles out of the clean text: the dirt was made from other articles of it."""
    if not place.exists():
        with packed.open("rb") as source:
            lines = zstandard.ZstdDecompressor().stream_reader(source).read().splitlines()
        place.write_bytes(b"\n".join(line for line in lines if json.loads(line)["source"] == "wiki2014"))
    return place


if __name__ == "__main__":
    main()
