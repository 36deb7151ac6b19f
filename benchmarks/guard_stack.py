"""Is a guard better than words if it hears them too, or if its encoder is larger: areas beside words, paired.

    python benchmarks/guard_stack.py OUT [--vectors DIR] [--threads 1]

OUT is what `benchmarks/guard.py -o OUT` left: the guard, and the examples for both parts. Words learn the same examples
as the guard; DIR is a model whose vectors (`textus embed`) a logistic regression learns from beside. Scores are put
together by a logistic regression for each category, on the examples that neither has learnt from (those that chose and
calibrated the guard), and are measured on the validation part. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import textus
from textus.corpus.filters.regression import Rows, fit
from textus.safety.curves import area, gain
from textus.safety.examples import Judged
from textus.safety.lexical import learn
from textus.safety.network import Network
from textus.safety.settings import ModerateData, ModerateSettings
from textus.safety.sides import Sides
from textus.verbs.load import load


def dense(values: np.ndarray) -> Rows:
    rows, width = values.shape
    columns = np.tile(np.arange(width, dtype=np.int32), rows)
    return Rows(columns, values.astype(np.float32).ravel(), np.arange(rows + 1) * width, width)


def regression(train: np.ndarray, known: np.ndarray, asked: np.ndarray, strength: float) -> np.ndarray:
    """Learn each category from columns of equal spread, and return the logits of others."""
    mean, spread = train.mean(0), train.std(0) + 1e-9
    rows, others = dense((train - mean) / spread), (asked - mean) / spread
    found = []
    for column in known.T:
        weights, bias = fit(rows, (column == 1).astype(float), (column >= 0).astype(float), strength)
        found.append(others @ weights + bias)
    return np.stack(found, 1)


def stacked(parts: list[np.ndarray], known: np.ndarray, asked: list[np.ndarray]) -> np.ndarray:
    """Put the logits of several scorers together, category by category."""
    columns = [
        regression(
            np.stack([part[:, at] for part in parts], 1),
            known[:, at : at + 1],
            np.stack([part[:, at] for part in asked], 1),
            1.0,
        )
        for at in range(known.shape[1])
    ]
    return np.concatenate(columns, 1)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("out", type=Path)
    made.add_argument("--vectors", type=Path, help="a model whose vectors are learnt from")
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--most", type=int, default=10**9, help="texts of each part, at most, to see that this runs")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    began = time.process_time()
    settings = ModerateSettings(data=ModerateData(test=(str(options.out / "val.jsonl"),)))
    sides = Sides.of(SimpleNamespace(settings=settings, data=(options.out / "train.jsonl",)))  # type: ignore[arg-type]
    held = (*sides.choice, *sides.calibration)
    named = {"train": sides.train, "held": held, "test": sides.test}
    parts = {name: list(part)[: options.most] for name, part in named.items()}
    texts = {name: [one.text for one in part] for name, part in parts.items()}
    known = {name: sides.known(part) for name, part in parts.items()}
    scores: dict[str, dict[str, np.ndarray]] = {}
    words = learn(texts["train"], _labels(parts["train"], sides))
    scores["words"] = {part: words.margins(texts[part]) for part in ("held", "test")}
    judge = Network.of(load(options.out / "guard"))
    order = [judge.model.task.labels.index(name) for name in sides.categories]
    scores["network"] = {part: judge.logits(texts[part])[:, order] for part in ("held", "test")}
    say("scored", time.process_time() - began)
    if options.vectors:
        vectors = {name: embedded(options.vectors, some) for name, some in texts.items()}
        scores["vectors"] = {
            part: regression(vectors["train"], known["train"], vectors[part], 30.0) for part in ("held", "test")
        }
        say("embedded", time.process_time() - began)
    for size in range(2, len(scores) + 1):
        for names in itertools.combinations([name for name in scores if "+" not in name], size):
            some = [scores[name] for name in names]
            scores["+".join(names)] = {
                "test": stacked([one["held"] for one in some], known["held"], [one["test"] for one in some])
            }
    found: dict[str, Any] = {name: measured(name, scores, known["test"], sides.categories) for name in scores}
    print(json.dumps({"benchmark": "guard_stack", "cpu_seconds": round(time.process_time() - began, 1), **found}))


def _labels(part: list[Judged], sides: Sides) -> dict[str, list[bool | None]]:
    return {name: [one.known.get(name) for one in part] for name in sides.categories}


def embedded(directory: Path, texts: list[str]) -> np.ndarray:
    """Return vectors of the beginnings of texts, by whoever knows the model's directory."""
    some = [text[:600] for text in texts]  # all of almost every text
    if (directory / "modules.json").exists():
        from sentence_transformers import SentenceTransformer

        return np.asarray(SentenceTransformer(str(directory), device="cpu").encode(some, batch_size=64))
    return np.asarray(textus.embed(load(directory), some))


def measured(name: str, scores: dict[str, Any], known: np.ndarray, categories: tuple[str, ...]) -> dict[str, Any]:
    """Measure each category, and what all gain on words in the mean, categories taken as independent."""
    found: dict[str, Any] = {}
    gains = []
    for column, category in enumerate(categories):
        rows = known[:, column] >= 0
        truth = known[rows, column] == 1
        mine, floor = (scores[one]["test"][rows, column].astype(float) for one in (name, "words"))
        more = gain(mine, floor, truth)
        gains.append(more)
        told = f"{more.value:+.4f} [{more.low:+.4f}, {more.high:+.4f}]"
        found[category] = {"area": str(area(mine, truth)), "gain": told}
    mean = float(np.mean([one.value for one in gains]))
    half = float(np.sqrt(np.square([(one.high - one.low) / 2 for one in gains]).sum()) / len(gains))
    found["mean_gain"] = [round(mean, 4), round(mean - half, 4), round(mean + half, 4)]
    say(name, found)
    return found


def say(name: str, value: Any) -> None:
    print(name, value, flush=True)


if __name__ == "__main__":
    main()
