"""Bits per byte of tiny Shakespeare after three minutes of training on this machine's CPU, the last tenth held out.

    python benchmarks/tinyshakespeare.py TINYSHAKESPEARE.TXT [--minutes 3] [--seeds 1 2 3]

nanoGPT's CPU recipe (README, "I only have a macbook": 4 layers x 128, context 64, 2,000 steps, about 3 minutes) reports
a validation loss of 1.88 nats a character on the same split; the text is ASCII, so that is 2.71 bits a byte. Both rows
are without overlap between windows: each byte is predicted from its own window alone (`stride` = the context).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

import textus


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            began = time.time()
            settings = {
                "corpus.validation_fraction": 0.1,
                "training.minutes": options.minutes,
                "training.seed": seed,
                "training.device": "cpu",
            }
            run = textus.train(options.text, out=Path(folder) / "run", settings=settings)
            wall = time.time() - began
            opened = textus.load(run.directory)
            context = opened.config.context_length
            alone = textus.evaluate(opened, stride=context).score("bits_per_byte")
            half = next(score for score in run.scores if score.name == "bits_per_byte")
            row = {"seed": seed, "parameters": run.parameters, "tokens": run.tokens_seen, "seconds": run.seconds}
            row |= {"wall": wall, "bits_per_byte": alone.value, "error": alone.error}
            rows.append({**row, "bits_per_byte_half_stride": half.value, "ngram": run.baselines["ngram"]})
            print(rows[-1], flush=True)
    bits = [row["bits_per_byte"] for row in rows]
    result = {"benchmark": "tiny Shakespeare, 3 minutes, CPU", "nanogpt_published": 1.88 / math.log(2), "rows": rows}
    print(json.dumps({**result, "mean": statistics.fmean(bits)}))


if __name__ == "__main__":
    main()
