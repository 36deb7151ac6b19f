"""Teach a very small model sums and JSON by their checks alone (GRPO), on a CPU: accuracy before and after.

    python benchmarks/reinforcement.py -o /tmp/reinforcement [--only base] [--steps 150]

A base learns to write sums (their results wrong as often as right) and records as JSON (broken as often as whole), and
conversations teach it to answer. So it knows the forms, and only rewards can tell what is right. It needs nothing but
the package. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import textus

MOST = 20
NAMES = ("Ann", "Bob", "Eve", "Ida", "Max", "Tom", "Una", "Zoe")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="one of the steps")
    parser.add_argument("--steps", type=int, default=150, help="of learning from rewards")
    parser.add_argument("--rate", type=float, help="of learning from rewards, where it is not planned")
    parser.add_argument("--base-steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def summed(draw: random.Random, right: float) -> tuple[str, str]:
    """Return a question for a sum and an answer, which is right with this probability and else near."""
    one, other = draw.randrange(MOST), draw.randrange(MOST)
    answer = one + other if draw.random() < right else max(0, one + other + draw.choice((-2, -1, 1, 2)))
    return f"{one} + {other} =", f"{answer}"


def recorded(draw: random.Random, right: float) -> tuple[str, str]:
    """Return a question for a record and an answer, which is valid JSON with this probability."""
    name, age = draw.choice(NAMES), draw.randrange(10, 99)
    whole = json.dumps({"name": name, "age": age})
    wrong = (whole[:-1], whole.replace('"', "", 1), whole.replace(":", "", 1))
    return f"JSON: {name}, {age}", whole if draw.random() < right else draw.choice(wrong)


def conversations(count: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    both = [(summed, recorded)[number % 2](draw, 0.5) for number in range(count)]
    return [{"prompt": asked, "completion": answer} for asked, answer in both]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def main() -> None:
    options = parsed()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    talks = written(out / "talks.jsonl", conversations(6000, 1))
    lines = [f"{row['prompt']} {row['completion']}" for row in conversations(24_000, 2)]
    text = written(out / "text.jsonl", [{"text": "\n".join(lines[at : at + 8])} for at in range(0, len(lines), 8)])
    draw = random.Random(3)
    sums = [{"prompt": f"{a} + {b} =", "answer": a + b} for a in range(MOST) for b in range(MOST)]
    draw.shuffle(sums)
    records = [{"prompt": f"JSON: {name}, {age}", "keys": ["name", "age"]} for name in NAMES for age in range(10, 99)]
    draw.shuffle(records)
    prompts = {"number": written(out / "sums.jsonl", sums), "json": written(out / "records.jsonl", records)}
    small = {"training.threads": 1, "training.seed": options.seed}

    def base() -> dict[str, Any]:
        shape = {"model.context_length": 64, "model.num_layers": 2, "model.hidden_size": 96}
        settings = {**small, **shape, "training.steps": options.base_steps, "training.batch_tokens": 4096}
        settings |= {"tokenizer.vocab_size": 320, "corpus.deduplicate": "none"}
        return {score.name: score.value for score in textus.train(text, out=out / "base", settings=settings).scores}

    def told(found: Any) -> dict[str, Any]:
        before = {score["name"]: (score["value"], score["error"]) for score in found.facts["before"]}
        return {score.name: [*before[score.name], score.value, score.error] for score in found.scores}

    def instruct() -> dict[str, Any]:
        settings = {**small, "training.steps": 100, "training.batch_tokens": 2048, "answer_tokens": 24}
        return told(textus.adapt(out / "base", talks, method="instruct", out=out / "instruct", settings=settings))

    def grpo(reward: str) -> Callable[[], dict[str, Any]]:
        def step() -> dict[str, Any]:
            settings = {
                **small, "reward": reward, "answer_tokens": 8 if reward == "number" else 24, "answers": 400,
                "training.steps": options.steps, "training.evaluate_every": 1000, "data.validation_fraction": 0.3,
            }  # fmt: skip
            if options.rate:
                settings["training.learning_rate"] = options.rate
            found = textus.adapt(
                out / "instruct", prompts[reward], method="grpo", out=out / f"grpo-{reward}", settings=settings
            )
            rounds = [one["reward"] for one in found.facts["rounds"]]
            return {**told(found), "rewards": [round(sum(part) / len(part), 3) for part in _tenths(rounds)]}

        return step

    steps = {"base": base, "instruct": instruct, "number": grpo("number"), "json": grpo("json")}
    found: dict[str, Any] = {}
    for name, step in steps.items():
        if options.only in ("", name):
            began = time.process_time()
            found[name] = {**step(), "cpu_seconds": round(time.process_time() - began, 1)}
            print(name, json.dumps(found[name]), flush=True)
    print(json.dumps(found))


def _tenths(values: list[float]) -> list[list[float]]:
    size = max(1, len(values) // 10)
    return [values[at : at + size] for at in range(0, len(values), size)]


if __name__ == "__main__":
    main()
