"""A guard from a small encoder: area and average precision by category beside words, and its latency, on a CPU.

    python benchmarks/guard.py SHARED ENCODER --examples 6000 -o /tmp/guard
    python benchmarks/guard.py SHARED ENCODER -o /tmp/guard --final xstest_prompts.csv hatecheck.csv openai.jsonl

SHARED holds the folder safety, of which the training parts are learnt from and the validation parts measure. What it
says is put into the categories of a policy with the doubts that it leaves: "offensive" tweets are harassment, and
whether they hate is not known; harmful instructions are illicit, and of other harms nothing is known; jailbreaks stand
against prompts of the same sites. Files of `--final` are public tests: they measure and are never learnt from, and no
example may repeat their texts. Nothing of the safety answers under CC BY-NC is used. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

import textus
from textus import fingerprint
from textus.safety.curves import area, average_precision
from textus.safety.examples import Judged, read_judged
from textus.safety.lexical import Lexical, learn
from textus.safety.network import Network
from textus.safety.settings import ModerateData
from textus.safety.suites import read_suite
from textus.verbs.load import load

CLEAN = dict.fromkeys(("hate", "harassment", "illicit", "jailbreak", "prompt_injection"), False)
TWEETS = {
    "neither": {"hate": False, "harassment": False, "illicit": False, "jailbreak": False},
    "offensive": {"harassment": True, "jailbreak": False},
    "hate": {"hate": True, "jailbreak": False},
}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("encoder", type=Path, help="a masked or hybrid run")
    parser.add_argument("--examples", type=int, default=6000, help="training examples of each source, at most")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1.5e-3])
    parser.add_argument("--final", type=Path, nargs="*", default=[], help="public tests, to measure on alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, required=True)
    return parser.parse_args()


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        for line in stream.read().decode().split("\n"):  # other marks that end lines stand inside texts
            if line:
                yield json.loads(line)


def examples(folder: Path, part: str, most: int) -> list[dict[str, Any]]:
    """Put the sources into one form; where a source has no validation part, every seventh text by its hash is that."""
    found: list[tuple[str, dict[str, bool]]] = []
    is_train = part == "train"
    found += _some([(row["text"], TWEETS[row["label"]]) for row in lines(folder / f"toxicity_{part}.jsonl.zst")], most)
    harmful = [row["text"] for row in lines(folder / f"harmful_instructions_{part}.jsonl.zst")]
    harmless = [row["text"] for row in lines(folder / f"harmless_instructions_{part}.jsonl.zst")]
    attacks = "advbench_harmful" if is_train else "harmbench_val"
    harmful += [row["text"] for row in lines(folder / f"{attacks}.jsonl.zst") if row["category"] != "copyright"]
    found += [(text, {"illicit": True, "jailbreak": False, "prompt_injection": False}) for text in harmful]
    found += _some([(text, CLEAN) for text in harmless], most)
    for row in lines(folder / "toxigen_prompts.jsonl.zst"):
        hates = ":hate_" in row["id"]
        known = {"hate": hates, "jailbreak": False} | ({} if hates else {"harassment": False, "illicit": False})
        if _is_train(row["prompt"]) == is_train:
            found.append((row["prompt"], known))
    for row in lines(folder / "jailbreak_in_the_wild_2023_05.jsonl.zst"):
        if _is_train(row["text"]) == is_train:
            found.append((row["text"], {"jailbreak": row["label"] == "jailbreak"}))
    unique = {" ".join(text.split()): (text, known) for text, known in found}
    return [{"text": text, "labels": known} for text, known in unique.values()]


def _is_train(text: str) -> bool:
    return int(fingerprint.of_parts([text])[:8], 16) % 7 > 0


def _some(rows: list[Any], most: int) -> list[Any]:
    step = max(1, -(-len(rows) // most))
    return rows[::step]


def finals(paths: list[Path], judge: Network, words: Lexical) -> dict[str, Any]:
    """Measure on whole public tests: a text is as bad as the worst of its categories."""
    found = {}
    for path in paths:
        suite = read_suite(path)
        truth = np.asarray([case.harmful for case in suite.cases])
        texts = [case.text for case in suite.cases]
        scores = {"guard": judge.logits(texts).max(1).astype(float), "words": words.margins(texts).max(1)}
        found[suite.name] = {
            name: {"auroc": str(area(one, truth)), "ap": str(average_precision(one, truth))}
            for name, one in scores.items()
        }
        print(suite.name, found[suite.name], flush=True)
    return found


def latency(judge: Network, tokens: int = 512) -> dict[str, float]:
    """Time a text of so many tokens, windows and all: the median and the worst of 30, in milliseconds of the clock."""
    text = "the weaver sits at the loom and throws the shuttle . "
    while len(judge.tokenizer.encode(text)) < tokens:
        text += text
    text = judge.tokenizer.decode(judge.tokenizer.encode(text)[:tokens])
    times, cpu = [], []
    for _ in range(33):
        began, worked = time.perf_counter(), time.process_time()
        judge(text)
        times.append(1e3 * (time.perf_counter() - began))
        cpu.append(1e3 * (time.process_time() - worked))
    return {"median": statistics.median(times[3:]), "worst": max(times[3:]), "cpu_median": statistics.median(cpu[3:])}


def main() -> None:
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    folder, paths = options.shared / "safety", {}
    for part in ("train", "val"):
        paths[part] = options.out / f"{part}.jsonl"
        rows = examples(folder, part, options.examples if part == "train" else 10**9)
        paths[part].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = {
        "data.test": [str(paths["val"])],
        "data.forbidden": [str(path) for path in options.final],
        "training.epochs": options.epochs,
        "training.learning_rates": options.rates,
        "training.threads": options.threads,
        "training.device": "cpu",
    }
    began = time.process_time()
    found = textus.adapt(
        options.encoder, paths["train"], method="moderate", out=options.out / "guard", settings=settings
    )
    print(found.report.text(), flush=True)
    opened = load(options.out / "guard")
    judge = Network.of(opened)
    told: list[Judged] = read_judged([paths["train"]], ModerateData())
    names = judge.model.task.labels
    result = {
        "parameters": opened.config.num_parameters(),
        "examples": found.facts["examples"],
        "left_out": found.facts["left_out"],
        "categories": found.facts["categories"],
        "cpu_seconds": round(time.process_time() - began, 1),
        "milliseconds_512": {key: round(value, 2) for key, value in latency(judge).items()},
        "threads": options.threads,
    }
    if options.final:
        learnt = {name: [one.known.get(name) for one in told] for name in names}
        result["final"] = finals(options.final, judge, learn([one.text for one in told], learnt))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
