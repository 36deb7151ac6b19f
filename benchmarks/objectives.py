"""Which objective to choose: the same network on the same words, asked in different ways, and measured alike.

    python benchmarks/babylm.py SHARED/babylm_style -o OUT --prepare
    python benchmarks/objectives.py SHARED/babylm_style SHARED -o OUT --words 2.5e7

Each model (one after the other, a line of JSON each) reads as many words in the same windows in the same order, hidden
ones counted as read. It is measured by the minimal pairs and the text scores of `babylm.py`, in each way that it reads,
and by linear probes on frozen states: the mean of a text's last states for SST-2 and CoLA, the last state of each
word's last token for the tags of EWT. What a probe needs of a choice (how strongly it is held back) is made on a part
cut from training. The text is not the official ten million words.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import babylm
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from textus.model.hidden import padded
from textus.model.transformer import Reading
from textus.objectives.measure import evaluating

TWINS = {
    "causal": ("causal", "1:1"),
    "masked": ("masked", "1:1"),
    "hybrid 1:1": ("hybrid", "1:1"),
    "hybrid 1:3": ("hybrid", "1:3"),
    "causal-then-masked": ("hybrid", "causal-then-masked"),
    "diffusion": ("diffusion", "1:1"),
}
HELD_BACK = (1e-5, 1e-4, 1e-3, 1e-2)
"""Weights of the squared norm of a probe, of which one is chosen."""
STEPS = 40


def parsed() -> argparse.Namespace:
    own = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("data", type=Path)
    own.add_argument("shared", type=Path, help="holds classification and tagging")
    own.add_argument("--only", nargs="*", default=list(TWINS))
    own.add_argument("--examples", type=int, default=6000, help="of a probe's training part, at most")
    options, others = own.parse_known_args()
    sys.argv = [sys.argv[0], str(options.data), *others]
    return argparse.Namespace(**vars(babylm.parsed()), **{k: v for k, v in vars(options).items() if k != "data"})


def texts(path: Path, most: int) -> tuple[list[list[str]], list[list[Any]]]:
    """Return what a file asks: texts with a label each, or words with a tag each."""
    rows = list(babylm.lines(path))[:most]
    if "tokens" in rows[0]:
        return [row["tokens"] for row in rows], [row["upos"] for row in rows]
    return [[row["text"]] for row in rows], [[row["label"]] for row in rows]


@torch.inference_mode()
def states(found: babylm.Trained, asked: list[list[str]], reading: Reading) -> Tensor:
    """Return a vector for each text, or for each of several words of one."""
    model, tokenizer, made = found.model, found.tokenizer, []
    longest = model.config.context_length
    with evaluating(model):
        for at in range(0, len(asked), 128):
            rows, ends = [], []
            for words in asked[at : at + 128]:
                row, stops = [tokenizer.begin], []
                for word in words:
                    row += tokenizer.encode(f" {babylm.folded(word)}")
                    stops.append(min(len(row), longest) - 1)
                rows.append(row[:longest])
                ends.append(stops)
            tokens, documents = padded(rows, model.embedding.weight.device)
            last = model.encode(tokens, documents, attention=reading).float()
            for number, stops in enumerate(ends):
                whole = len(asked[at + number]) == 1
                made.append(last[number, 1 : len(rows[number])].mean(0, keepdim=True) if whole else last[number, stops])
    return torch.cat(made)


def probe(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> dict[str, float]:
    """Fit a linear classifier, held back as a fifth of training says is best, and ask it the test once."""
    mean, spread = train.mean(0), train.std(0) + 1e-6
    train, test = (train - mean) / spread, (test - mean) / spread
    apart = torch.arange(len(train), device=train.device) % 5 == 0
    by = {
        weight: float((_fitted(train[~apart], labels[~apart], weight)(train[apart]) == labels[apart]).float().mean())
        for weight in HELD_BACK
    }
    guessed = _fitted(train, labels, max(by, key=lambda weight: by[weight]))(test)
    right = float((guessed == truth).float().mean())
    return {"accuracy": 100 * right, "mcc": 100 * _mcc(guessed.cpu().numpy(), truth.cpu().numpy())}


def _fitted(x: Tensor, y: Tensor, weight: float) -> Any:
    classes = int(y.max()) + 1
    matrix = torch.zeros(classes, x.shape[1] + 1, device=x.device, requires_grad=True)
    wide = functional.pad(x, (0, 1), value=1.0)
    optimizer = torch.optim.LBFGS([matrix], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(wide @ matrix.T, y) + weight * matrix[:, :-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return lambda new: (functional.pad(new, (0, 1), value=1.0) @ matrix.T).argmax(1)


def _mcc(guessed: np.ndarray, truth: np.ndarray) -> float:
    size = int(max(guessed.max(), truth.max())) + 1
    table = np.zeros((size, size))
    np.add.at(table, (truth, guessed), 1)
    true, said, all_ = table.sum(1), table.sum(0), table.sum()
    below = np.sqrt((all_**2 - (said**2).sum()) * (all_**2 - (true**2).sum()))
    return float((np.trace(table) * all_ - (true * said).sum()) / below) if below else 0.0


def probes(found: babylm.Trained, shared: Path, most: int) -> dict[str, Any]:
    """Probe the model in each way that it reads; where several are possible, each stands by itself."""
    labels, tags = shared / "classification", shared / "tagging"
    files = {
        "sst2": (labels / "sst2_train.jsonl.zst", labels / "sst2_val.jsonl.zst"),
        "cola": (labels / "cola_train.jsonl.zst", labels / "cola_in_domain_dev.jsonl.zst"),
        "ewt": (tags / "ud_ewt_train.jsonl.zst", tags / "ud_ewt_dev.jsonl.zst"),
    }
    device = found.model.embedding.weight.device
    result: dict[str, Any] = {}
    for name, (train, test) in files.items():
        (asked, given), (asked_too, true) = texts(train, most), texts(test, most)
        numbers = {label: number for number, label in enumerate(sorted({one for row in given for one in row}, key=str))}
        y, truth = (
            torch.tensor([numbers.get(one, len(numbers)) for row in rows for one in row], device=device)
            for rows in (given, true)
        )
        for reading in found.model.config.readings:
            vectors = states(found, asked, reading).clone(), states(found, asked_too, reading).clone()
            reached = probe(vectors[0], y, vectors[1], truth)
            result[f"{name} {reading}"] = {key: round(value, 2) for key, value in reached.items()}
    return result


def main() -> None:
    options = parsed()
    for name in options.only:
        options.objective, options.mix = TWINS[name]
        began = time.monotonic()
        found = babylm.trained(options)
        result = babylm.scored(found, options) | {"probes": probes(found, options.shared, options.examples)}
        print(json.dumps({"benchmark": "objectives", "twin": name, **found.facts, **result,
                          "all_seconds": round(time.monotonic() - began, 1)}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
