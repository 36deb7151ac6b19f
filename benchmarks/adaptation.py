"""Adapt a small model on a CPU: another text with and without replay, then answers, whole and with an adapter.

    python benchmarks/adaptation.py SHARED --minutes 3 -o /tmp/adaptation [--only continue]

SHARED holds the folders general, domain, sft and preference. Each step opens what is there already, so that they can be
run one by one: base, continue (and with other shares of the old text: alone, quarter, half), scratch, vocabulary,
instruct, lora, dpo, kto. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

import textus


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0, help="of training the base")
    parser.add_argument("--steps", type=int, default=250, help="of going on, and of learning from nothing beside it")
    parser.add_argument("--instruct-steps", type=int, default=300)
    parser.add_argument(
        "--megabytes", type=float, default=8.0, help="of general text, and half of it of the domain, at most"
    )
    parser.add_argument("--domain", default="us_dc_law")
    parser.add_argument("--conversations", type=float, default=6.0, help="megabytes of short ones")
    parser.add_argument("--longest", type=int, default=600, help="characters of a conversation that is taken")
    parser.add_argument("--only", default="", help="one of the steps")
    parser.add_argument("-o", "--out", type=Path, required=True)
    return parser.parse_args()


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a packed file, as far as they are wanted."""
    held = b""
    with pa.CompressedInputStream(str(path), path.suffix.lstrip(".").replace("zst", "zstd")) as stream:
        while block := stream.read(1 << 20):
            *whole, held = (held + block).split(b"\n")
            yield from (line.decode() for line in whole)
    if held:
        yield held.decode()


def part(source: Path, target: Path, size: float, keep: Callable[[str], bool] = lambda line: True) -> Path:
    """Write the first lines of `source`, so many bytes of them, where that has not been done."""
    if not target.is_file():
        taken, kept = 0, []
        for line in lines(source):
            if taken > size:
                break
            if keep(line):
                kept.append(line)
                taken += len(line)
        target.write_text("\n".join(kept) + "\n", "utf-8")
    return target


def found(path: Path, stem: str) -> Path:
    return next(one for one in sorted(path.iterdir()) if one.name.startswith(stem) and "jsonl" in one.name)


def table(result: Any) -> dict[str, Any]:
    before = {score["name"]: score["value"] for score in result.facts["before"]}
    return {
        score.name: [round(before[score.name], 4), round(score.value, 4), round(score.error, 4)]
        for score in result.scores
        if ("perplexity" not in score.name and not score.name.endswith("_loss")) or score.name == "held_out_loss"
    }


def main() -> None:
    options = parsed()
    out, shared = options.out, options.shared
    out.mkdir(parents=True, exist_ok=True)
    general = part(found(shared / "general", "val"), out / "general.jsonl", options.megabytes * 1e6)
    domain = part(found(shared / "domain", f"{options.domain}_val"), out / "domain.jsonl", options.megabytes * 5e5)

    def short(line: str) -> bool:
        return sum(len(turn["content"]) for turn in json.loads(line)["messages"]) <= options.longest

    # what the context cuts off would teach that answers do not end
    talks = part(shared / "sft" / "train.jsonl.zst", out / "talks.jsonl", options.conversations * 1e6, short)
    pairs = part(shared / "preference" / "train.jsonl.zst", out / "pairs.jsonl", 3e6)
    unpaired = part(shared / "preference" / "kto_unpaired.jsonl.zst", out / "unpaired.jsonl", 3e6)
    base, one = out / "base", {"training.threads": 1, "training.evaluate_every": 100}
    drop = {"corpus.deduplicate": "none"}

    def adapt(name: str, data: Path, method: str, start: Path = base, **changes: Any) -> dict[str, Any]:
        settings = {**one, **{key.replace("__", "."): value for key, value in changes.items()}}
        result = textus.adapt(start, data, method=method, out=out / name, settings=settings)
        return {**table(result), "seconds": round(result.facts["training"]["seconds"], 1)}

    again = {"corpus__deduplicate": "none", "training__steps": options.steps, "training__batch_tokens": 2048}
    shape = {f"model.{name}": size for name, size in (("context_length", 256), ("num_layers", 3), ("hidden_size", 96))}
    shape |= {"training.batch_tokens": 2048}
    chats = {"data__faulty": "skip", "answers": 64, "answer_tokens": 160, "training__steps": options.instruct_steps}
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "base": lambda: {
            score.name: round(score.value, 4)
            for score in textus.train(
                general, out=base, settings={**drop, "training.minutes": options.minutes, "model.context_length": 256}
            ).scores
        },
        "continue": lambda: adapt("continue", domain, "continue", **again),
        "alone": lambda: adapt("alone", domain, "continue", **again, replay__share=0.0),
        "quarter": lambda: adapt("quarter", domain, "continue", **again, replay__share=0.25),
        "half": lambda: adapt("half", domain, "continue", **again, replay__share=0.5),
        "vocabulary": lambda: adapt("vocabulary", domain, "continue", **again, vocabulary__add=500),
        "scratch": lambda: {
            score.name: round(score.value, 4)
            for score in textus.train(
                domain, out=out / "scratch", settings={**drop, **one, **shape, "training.steps": options.steps}
            ).scores
        },
        "instruct": lambda: adapt("instruct", talks, "instruct", **chats),
        "lora": lambda: adapt("lora", talks, "instruct", **chats, lora__rank=16),
        "dpo": lambda: adapt("dpo", pairs, "preference", out / "instruct", data__faulty="skip"),
        "kto": lambda: adapt(
            "kto",
            unpaired,
            "preference",
            out / "instruct",
            data__faulty="skip",
            loss="kto",
            data__validation_fraction=0.3,
        ),
    }
    told: dict[str, Any] = {}
    for name, step in steps.items():
        if options.only in ("", name):
            began = time.process_time()
            told[name] = {**step(), "cpu_seconds": round(time.process_time() - began, 1)}
            print(name, json.dumps(told[name]), flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
