"""One small model that reads both ways, on at most a hundred million words: minimal pairs, asked from both sides.

    python benchmarks/babylm.py SHARED/babylm_style -o OUT                     # on one GPU, minutes
    python benchmarks/babylm.py SHARED/babylm_style -o OUT --prepare           # the text alone, on a CPU

The text is of the BabyLM kinds, and not the official ten million words. It is cut at the ends of sentences, so that a
document begins as a sentence does (its passages begin anywhere); white space is one space, also in the pairs, and marks
of speakers in child speech are taken out. Pairs are read as documents are, a space before the first word, between ENDs:

    causal   sum of ln p over the sentence's tokens, from the left
    masked   the same with each token hidden in turn (Salazar et al. 2020), END in sight behind the sentence

`official` counts a tie as right, as the BabyLM pipeline's first of equals does; `half` counts it half. Macro averages
over paradigms. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.shard import ShardWriter, TokenShard
from textus.dataset.split import TokenSplit
from textus.evaluation.masked import measure_bound
from textus.model.config import ModelConfig
from textus.model.transformer import Reading, Transformer
from textus.objectives.causal import Causal
from textus.objectives.config import ObjectiveConfig
from textus.objectives.masked import Masked
from textus.objectives.measure import evaluating, measure
from textus.objectives.objective import Objective
from textus.objectives.table import build
from textus.objectives.vocabulary import Vocabulary
from textus.tokenizer.tokenizer import Tokenizer
from textus.training.loop import TrainState, train
from textus.training.recipe import Recipe

SPEAKER = re.compile(r"\*[A-Z]{2,3}\d?: ")
ASIDE = re.compile(r"\[[^\[\]]*\] ?")
SENTENCE_END = re.compile(r"(?<=[.!?])([\"'”’)\]]*) +(?=[\"'“‘(\[=]?[A-Z0-9=])")
LENGTHS = (12, 24, 48, 96, 192)
"""Tokens from which a document is long enough; drawn for each."""
TOKENS_AT_ONCE = 65_536
SURE = 60
"""Steps after which their time is known."""
BOUND_DOCUMENTS = 400


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--prepare", action="store_true", help="cut and tokenise the text, and end")
    parser.add_argument("--texts", type=int, default=0, help="passages to learn from; 0: all")
    parser.add_argument("--pairs", type=int, default=0, help="pairs of each paradigm; 0: all")
    parser.add_argument("--objective", default="hybrid")
    parser.add_argument("--mix", default="1:1")
    parser.add_argument("--mask-rates", type=float, nargs=2, default=(0.3, 0.15))
    parser.add_argument("--masked-share", type=float, default=1.0)
    parser.add_argument("--words", type=float, default=1e8, help="read in all, repeated ones counted again")
    parser.add_argument("--seconds", type=float, default=0.0, help="fewer steps where they take longer; 0: as many")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--inner", type=int, default=1856)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--weight-decay", type=float, default=0.3)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--record", default="on", help="off: send the kernels of each micro-batch one by one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".zst":
        with pa.CompressedInputStream(str(path), "zstd") as stream:
            yield from map(json.loads, stream.read().decode().splitlines())
    else:
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def opened(data: Path) -> Tokenizer:
    """Open the text's tokenizer; its two special tokens have other names than ours."""
    content = (data / "tokenizer.json").read_text("utf-8")
    return Tokenizer(content.replace("<|eos|>", "<|endoftext|>").replace("<|mask|>", "<mask>"))


def folded(text: str) -> str:
    return " ".join(text.split())


def sentences(passage: str) -> list[str]:
    """Cut a passage into sentences; what speakers of child speech say begins with a capital.

    >>> sentences("it was. *MOT: what's  that? [laughs] A dog. He ran")
    ['it was.', "What's that?", 'A dog.', 'He ran']
    """
    first, *turns = SPEAKER.split(folded(passage))
    found = SENTENCE_END.sub(r"\1\n", first).split("\n") if first else []
    if turns:
        found = SENTENCE_END.sub(r"\1\n", ASIDE.sub("", first)).split("\n")
    for turn in turns:
        said = ASIDE.sub("", turn).strip()
        found += SENTENCE_END.sub(r"\1\n", said[:1].upper() + said[1:]).split("\n")
    return [sentence for part in found if (sentence := part.strip())]


def prepare(data: Path, out: Path, most: int) -> dict[str, int]:
    """Write shards of documents that begin as sentences do; return the words of each part."""
    tokenizer, words = opened(data), {}
    out.mkdir(parents=True, exist_ok=True)
    for name, file in (("train", "train.jsonl.zst"), ("validation", "val.jsonl.zst")):
        drawn, count = random.Random(1), 0
        with ShardWriter(out / f"{name}.tokens", tokenizer.vocab_size, tokenizer.fingerprint, tokenizer.end) as writer:
            for number, row in enumerate(lines(data / file)):
                if most and number >= most:
                    break
                cut = [f" {sentence}" for sentence in sentences(row["text"])]
                held: list[np.ndarray] = []
                size, length = 0, drawn.choice(LENGTHS)
                for place, (text, tokens) in enumerate(zip(cut, tokenizer.encode_batch(cut), strict=True)):
                    held.append(tokens)
                    size += len(text.encode())
                    count += len(text.split())
                    if sum(map(len, held)) >= length or place == len(cut) - 1:
                        writer.append(f"{number}-{place}", np.concatenate(held), size)
                        held, size, length = [], 0, drawn.choice(LENGTHS)
        words[name] = count
    (out / "words.json").write_text(json.dumps(words))
    return words


def split(folder: Path, name: str) -> TokenSplit:
    return TokenSplit(name, [TokenShard.open(folder / f"{name}.tokens")], "")


@dataclass(frozen=True)
class Trained:
    """A model, and what its training came to."""

    model: Transformer
    tokenizer: Tokenizer
    facts: dict[str, Any]


def trained(options: argparse.Namespace) -> Trained:
    """Train as the options say, on what was prepared."""
    tokenizer, training = opened(options.data), split(options.out / "shards", "train")
    told = json.loads((options.out / "shards" / "words.json").read_text())["train"]
    on_gpu = options.device == "cuda"
    windows = Windows(training, options.context, 1, options.seed)
    rows = max(1, options.batch_tokens // options.context)
    steps = int(options.words / told * windows.per_epoch / rows)
    share = options.masked_share
    asked = ObjectiveConfig(
        name=options.objective,
        prediction_offset=1,
        mix=options.mix,
        mask_rate=options.mask_rates[0],
        final_mask_rate=options.mask_rates[1],
        masked_share=share,
        random_share=(1 - share) / 2,
    )
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        context_length=options.context,
        num_layers=options.layers,
        hidden_size=options.width,
        num_heads=options.width // 64,
        num_kv_heads=options.width // 64,
        head_size=64,
        intermediate_size=options.inner,
        attention=asked.attention,
        reads_both_ways=asked.name == "hybrid",
        dropout=options.dropout,
    )
    recipe = Recipe(
        steps=steps,
        batch_tokens=rows * options.context,
        micro_batch_tokens=rows * options.context,
        learning_rate=options.rate,
        warmup_steps=min(200, steps // 10),
        weight_decay=options.weight_decay,
        optimizer="muon",
        precision="bf16" if on_gpu else "fp32",
        device=options.device,
        compile="on" if on_gpu else "off",
        record=options.record,
        seed=options.seed,
    )
    model = Transformer(config, options.seed).to(options.device)
    objective = build(asked, tokenizer, steps * rows, options.seed)
    began, seconds, losses = time.monotonic(), [], []
    waited = 0.0
    for step in train(model, Loader(windows, rows), objective, recipe, TrainState.start(model, recipe)):
        seconds.append(step.seconds)
        losses.append(step.loss)
        waited += step.waited
        if options.seconds and step.number in (SURE, steps // 2):
            left = options.seconds - (time.monotonic() - began)
            steps = min(steps, step.number + max(1, int(left / np.median(seconds[-SURE:]))))
            object.__setattr__(recipe, "steps", steps)  # the rate falls to the new end
        if step.number in (1, SURE) or not step.number % max(1, steps // 6):
            print(f"{options.objective} {options.mix} step {step.number}/{steps} loss {step.loss:.3f} "
                  f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        if step.number == steps:
            break
    median = float(np.median(seconds))
    facts = {
        "parameters": config.num_parameters(),
        "steps": steps,
        "words_seen": round(steps * rows / windows.per_epoch * told),
        "epochs": round(steps * rows / windows.per_epoch, 2),
        "seconds": round(time.monotonic() - began, 1),
        "seconds_without_compilation": round(median * steps, 1),
        "tokens_per_second": round(rows * options.context / median),
        "waited_percent": round(100 * waited / sum(seconds), 1),
        "last_loss": float(np.mean(losses[-20:])),
    }
    return Trained(model, tokenizer, facts)


def text_scores(found: Trained, options: argparse.Namespace) -> dict[str, float]:
    """Measure the model on the prepared validation text, as it reads."""
    model, tokenizer = found.model, found.tokenizer
    validation = split(options.out / "shards", "validation")
    windows = Windows(validation, options.context, 1, options.seed, ordered=True)

    def loss(objective: Objective) -> float:
        numbers = range(0, windows.per_epoch, 32)
        batches = (windows.rows(range(first, min(first + 32, windows.per_epoch))) for first in numbers)
        total = measure(model, objective, batches, options.device)
        of = np.log(2) * validation.num_bytes if objective.attention == "causal" else total.count
        return float(total.total) / of

    scores = {}
    if "causal" in model.config.readings:
        scores["bits_per_byte"] = loss(Causal())
    if "bidirectional" in model.config.readings:
        scores["masked_loss"] = loss(Masked(Vocabulary.of(tokenizer), prediction_offset=1).validation())
        sizes = validation.document_bytes
        spread = np.linspace(0, len(sizes) - 1, min(BOUND_DOCUMENTS, len(sizes))).astype(int)
        some = ((validation.document(number), int(sizes[number])) for number in spread.tolist())
        bound = measure_bound(model, tokenizer, some, data="", batch_rows=32)
        scores |= {"bits_per_byte_bound": bound.score.value, "bits_per_byte_bound_error": bound.score.error}
    return scores


def likelihoods(model: Transformer, rows: Sequence[list[int]], reading: Reading, mask: int) -> dict[str, Any]:
    """Return ln p of each row's text, by name; rows are `END text END`. From the left it is given with that END too."""
    if reading == "causal":
        every = _summed(model, [(row, 0, row[1:]) for row in rows], "causal")
        return {
            "causal": np.array([sum(one[:-1]) for one in every]),
            "causal_with_end": np.array([sum(one) for one in every]),
        }
    asked = [
        ([*row[:place], mask, *row[place + 1 :]], place - 1, [row[place]])
        for row in rows
        for place in range(1, len(row) - 1)
    ]
    values = iter(_summed(model, asked, "bidirectional"))
    return {"masked": np.array([sum(next(values)[0] for _ in row[1:-1]) for row in rows])}


@torch.inference_mode()
def _summed(
    model: Transformer, asked: Sequence[tuple[list[int], int, list[int]]], reading: Reading
) -> list[list[float]]:
    """Return ln p of the targets of each row, which stand behind a first position; rows of one length go together."""
    device, found = model.embedding.weight.device, [[0.0]] * len(asked)
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, (row, _, targets) in enumerate(asked):
        alike[len(row), len(targets)].append(number)
    with evaluating(model):
        for (time_, width), members in alike.items():
            size = max(1, min(TOKENS_AT_ONCE // time_, TOKENS_AT_ONCE // 8 // width))
            for at in range(0, len(members), size):
                part = members[at : at + size]
                tokens = torch.tensor([asked[number][0] for number in part], device=device)
                first = torch.tensor([asked[number][1] for number in part], device=device)
                targets = torch.tensor([asked[number][2] for number in part], device=device)
                states = model.encode(tokens, attention=reading)
                places = (first[:, None] + torch.arange(width, device=device)).unsqueeze(2)
                wanted = states.gather(1, places.expand(-1, -1, states.shape[2])).flatten(0, 1)
                likely = model.head(model.before_head(wanted)).float().log_softmax(-1)
                values = likely.gather(1, targets.flatten()[:, None]).view(len(part), width).tolist()
                for number, row in zip(part, values, strict=True):
                    found[number] = row
    return found


def minimal_pairs(found: Trained, folder: Path, most: int) -> dict[str, Any]:
    """Ask all pairs of a folder, each file a paradigm, in every way of reading that the model has."""
    model, tokenizer = found.model, found.tokenizer
    names, phenomena, rows = [], {}, []
    for path in sorted(folder.glob("*.jsonl")):
        for pair in list(lines(path))[: most or None]:
            names.append(path.stem)
            phenomena[path.stem] = pair.get("linguistics_term", path.stem)
            texts = [f" {folded(pair[key])}" for key in ("sentence_good", "sentence_bad")]
            rows += [[tokenizer.begin, *tokenizer.encode(text), tokenizer.end] for text in texts]
    scores: dict[str, Any] = {}
    for reading in model.config.readings:
        for name, sums in likelihoods(model, rows, reading, tokenizer.mask).items():
            good, bad = sums[::2], sums[1::2]
            right = {"official": good >= bad, "half": (good > bad) + 0.5 * (good == bad)}
            by = {how: _by_paradigm(values, names) for how, values in right.items()}
            grouped: dict[str, list[float]] = defaultdict(list)
            for paradigm, value in by["half"].items():
                grouped[phenomena[paradigm]].append(value)
            scores[name] = {
                **{how: round(float(np.mean(list(each.values()))), 2) for how, each in by.items()},
                "ties": int((good == bad).sum()),
                "phenomena": {term: round(float(np.mean(values)), 1) for term, values in grouped.items()},
            }
    return scores


def _by_paradigm(right: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, value in zip(names, right.tolist(), strict=True):
        found[name].append(100.0 * value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def scored(found: Trained, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the trained model in every way."""
    torch.set_float32_matmul_precision("high")
    began = time.monotonic()
    suites = {name: options.data / "eval" / f"{name}_fast" for name in ("blimp", "supplement")}
    result: dict[str, Any] = {}
    for name, folder in suites.items():
        result[name] = minimal_pairs(found, folder, options.pairs)
        print(json.dumps({name: result[name]}), flush=True)
    result |= text_scores(found, options)
    return result | {"scoring_seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    options = parsed()
    if options.prepare or not (options.out / "shards" / "words.json").is_file():
        print(prepare(options.data, options.out / "shards", options.texts))
    if options.prepare:
        return
    found = trained(options)
    print(json.dumps(found.facts), flush=True)
    result = scored(found, options)
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    told = {name: str(value) for name, value in vars(options).items()}
    print(json.dumps({"benchmark": "babylm", "device": device, "torch": torch.__version__, "options": told,
                      **found.facts, **result}))  # fmt: skip


if __name__ == "__main__":
    main()
