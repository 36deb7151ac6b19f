"""Teach a very small model sums and JSON by their checks alone (GRPO), on a CPU: accuracy before and after.

    python benchmarks/reinforcement.py -o /tmp/reinforcement [--only base] [--steps 200] [--rate 5e-4]

A base learns from sums (all of them right) and records as JSON (broken as often as whole), and conversations teach it
to answer. Rewards then teach it by other sums and records, and accuracy is measured on a third part (whose sums it may
have seen with their numbers in another order). So it knows the forms, is right now and then, and checks alone are to
make it better. It needs nothing but the package. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import textus

NAMES = ("Ann", "Bob", "Eve", "Ida", "Max", "Tom", "Una", "Zoe")
HELD_OUT = 200
"""Of each task, to measure on."""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="one of the steps: base, instruct, number, json")
    parser.add_argument("--steps", type=int, default=200, help="of learning from rewards")
    parser.add_argument("--rate", type=float, help="of learning from rewards, where it is not planned")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings of it")
    parser.add_argument("--base-steps", type=int, default=200)
    parser.add_argument("--instruct-steps", type=int, default=100)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--most", type=int, default=10, help="the three numbers to add are smaller than this one")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


Task = tuple[str, dict[str, Any]]
"""A prompt, and what its check needs."""


def tasks(most: int) -> dict[str, list[Task]]:
    """Return all prompts of each task, in an order that does not change."""
    numbers = itertools.product(range(most), repeat=3)
    sums: list[Task] = [(f"{a} + {b} + {c} =", {"answer": a + b + c}) for a, b, c in numbers]
    records: list[Task] = [
        (f"JSON: {name}, {age}", {"keys": ["name", "age"]}) for name in NAMES for age in range(10, 99)
    ]
    for prompts in (sums, records):
        random.Random(3).shuffle(prompts)
    return {"number": sums, "json": records}


def answered(draw: random.Random, asked: str, needs: dict[str, Any]) -> str:
    """Return a right sum, or a record that is valid JSON every other time."""
    if "answer" in needs:
        return str(needs["answer"])
    name, age = asked.removeprefix("JSON: ").split(", ")
    whole = json.dumps({"name": name, "age": int(age)})
    wrong = (whole[:-1], whole.replace('"', "", 1), whole.replace(":", "", 1))
    return whole if draw.random() < 0.5 else draw.choice(wrong)


def conversations(prompts: Sequence[Task], count: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    asked = [draw.choice(prompts) for _ in range(count)]
    return [{"prompt": prompt, "completion": answered(draw, prompt, needs)} for prompt, needs in asked]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def told(found: Any) -> dict[str, Any]:
    """Return each score before and after, with its error."""
    before = {score["name"]: (score["value"], score["error"]) for score in found.facts["before"]}
    return {
        score.name: [round(one, 4) for one in (*before[score.name], score.value, score.error)] for score in found.scores
    }


def main() -> None:
    options = parsed()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    all_tasks = tasks(options.most)
    seen = [task for prompts in all_tasks.values() for task in prompts[HELD_OUT::2]]
    talks = written(out / "talks.jsonl", conversations(seen, 6000, 1))
    lines = [f"{row['prompt']} {row['completion']}" for row in conversations(seen, 24_000, 2)]
    text = written(out / "text.jsonl", [{"text": "\n".join(lines[at : at + 8])} for at in range(0, len(lines), 8)])
    parts = {
        name: [
            written(out / f"{name}-{part}.jsonl", [{"prompt": asked, **needs} for asked, needs in chosen])
            for part, chosen in (("train", prompts[HELD_OUT + 1 :: 2]), ("held-out", prompts[:HELD_OUT]))
        ]
        for name, prompts in all_tasks.items()
    }
    small = {"training.threads": 1, "training.seed": options.seed, "training.device": options.device}

    def base() -> dict[str, Any]:
        shape = {"context_length": 64, "num_layers": options.layers, "hidden_size": options.width}
        settings = {**small, "training.steps": options.base_steps, "training.batch_tokens": 4096}
        settings |= {f"model.{name}": size for name, size in shape.items()}
        settings |= {"tokenizer.vocab_size": 264, "corpus.deduplicate": "none"}  # so few that every digit is a token
        result = textus.train(text, out=out / "base", settings=settings)
        return {"parameters": result.parameters, **{score.name: score.value for score in result.scores}}

    def instruct() -> dict[str, Any]:
        settings = {**small, "training.steps": options.instruct_steps, "training.batch_tokens": 2048}
        settings |= {"answer_tokens": 24, "answers": 32}
        return told(textus.adapt(out / "base", talks, method="instruct", out=out / "instruct", settings=settings))

    def grpo(reward: str) -> Callable[[], dict[str, Any]]:
        def step() -> dict[str, Any]:
            training, held_out = parts[reward]
            settings = {
                **small, "reward": reward, "answer_tokens": 8 if reward == "number" else 24,
                "training.steps": options.steps, "training.evaluate_every": 1000, "data.validation": [str(held_out)],
                **dict(one.split("=", 1) for one in options.set),
            }  # fmt: skip
            if options.rate:
                settings["training.learning_rate"] = options.rate
            name = "-".join([f"grpo-{reward}", *([f"{options.rate:g}"] if options.rate else []), *options.set])
            found = textus.adapt(out / "instruct", training, method="grpo", out=out / name, settings=settings)
            rounds = found.facts["rounds"]
            return {
                **told(found),
                "rewards": [round(sum(one["reward"] for one in part) / len(part), 3) for part in _tenths(rounds)],
                "told_apart": [
                    round(sum(one["told_apart"] for one in part) / len(part), 2) for part in _tenths(rounds)
                ],
            }

        return step

    steps = {"base": base, "instruct": instruct, "number": grpo("number"), "json": grpo("json")}
    found: dict[str, Any] = {}
    for name, step in steps.items():
        if options.only in ("", name):
            began = time.process_time()
            found[name] = {**step(), "cpu_seconds": round(time.process_time() - began, 1)}
            print(name, json.dumps(found[name]), flush=True)
    print(json.dumps(found))


def _tenths(values: list[Any]) -> list[list[Any]]:
    size = max(1, len(values) // 10)
    return [values[at : at + size] for at in range(0, len(values), size)]


if __name__ == "__main__":
    main()
