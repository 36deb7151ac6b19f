"""How much memory `textus evaluate` takes, by the size of the text and by the number of questions.

    python benchmarks/evaluation_memory.py TEXTS.jsonl.zst [--megabytes 10,100] [--thousands 5,50]

Each row is a process of its own, with a model of 1 layer x 16 and a vocabulary of 1,024: what is measured is what the
text takes, and not the network. The texts are repeated, each time with another number before every document. The
process reads its text in three forms: one document a line, one plain file, and questions to choose an answer to.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import zstandard
from tokenizers import pre_tokenizers, trainers

from textus.checkpoint.checkpoint import write_model
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, finish, untrained

CONTEXT = 256
CHILD = """
import json, resource, sys
from textus.cli.main import main
code = main(sys.argv[1:])
print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), file=sys.stderr)
sys.exit(code)
"""


def texts(path: Path) -> Iterator[str]:
    """Yield the texts again and again, each time with another number before it."""
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        held = [json.loads(line)["text"] for line in itertools.islice(file, 5_000)]
    return (f"{number} {text}" for number, text in enumerate(itertools.cycle(held)))


def model(path: Path, directory: Path) -> None:
    engine = untrained()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1024, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False
    )
    engine.train_from_iterator(itertools.islice(texts(path), 500), trainer)
    tokenizer = finish(engine)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, context_length=CONTEXT, num_layers=1, hidden_size=16, num_heads=1,
        num_kv_heads=1, head_size=16, intermediate_size=16,
    )  # fmt: skip
    write_model(directory, Transformer(config), tokenizer, {})


def written(kind: str, source: Path, size: int, folder: Path) -> Path:
    """Write a file of so many bytes, or of so many questions."""
    path = folder / ("text.txt" if kind == "plain file" else "lines.jsonl")
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts(source)):
            if count >= size:
                break
            if kind == "plain file":
                count += file.write(text + "\n\n")
            elif kind == "documents":
                count += file.write(json.dumps({"text": text}) + "\n")
            else:
                words = text[:400].rsplit(" ", 2)
                line = {"context": words[0], "choices": [words[1], words[2], "no", "yes"], "gold": number % 2}
                file.write(json.dumps(line) + "\n")
                count += 1
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path)
    parser.add_argument("--megabytes", default="10,100")
    parser.add_argument("--thousands", default="5,50")
    options = parser.parse_args()
    asked = [
        *(("documents", int(size) * 10**6) for size in options.megabytes.split(",")),
        *(("plain file", int(size) * 10**6) for size in options.megabytes.split(",")),
        *(("questions", int(size) * 10**3) for size in options.thousands.split(",")),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model(options.texts, Path(folder) / "model")
        for kind, size in asked:
            path = written(kind, options.texts, size, Path(folder))
            given = ["--task", str(path)] if kind == "questions" else [str(path), "--stride", str(CONTEXT)]
            began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            clock = time.monotonic()
            ran = subprocess.run(
                [sys.executable, "-c", CHILD, "evaluate", str(Path(folder) / "model"), *given, "--json"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began
            peak = json.loads(ran.stderr.splitlines()[-1])["peak"]
            rows.append({
                "kind": kind, "size": size, "peak_mib": peak, "cpu_seconds": round(used, 1),
                "seconds": round(time.monotonic() - clock, 1), "tokens": json.loads(ran.stdout)["tokens"],
            })  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps({"benchmark": "memory of evaluation", "rows": rows, "machine": platform.machine()}))


if __name__ == "__main__":
    main()
