"""See what a model is asked: a window as token | label, and the documents that it was cut from.

Usage: python examples/inspect_a_window.py runs/first --window 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import textus
from textus.objectives.objective import IGNORE


def main() -> None:
    parser = argparse.ArgumentParser(description="Show one training window of a run.")
    parser.add_argument("run", type=Path, help="a run's directory")
    parser.add_argument("--window", type=int, default=0, metavar="N")
    parser.add_argument("--context", type=int, default=32, help="new tokens in the window")
    options = parser.parse_args()

    corpus = textus.Corpus.open(options.run / "corpus")
    tokenizer = textus.Tokenizer.load(options.run / "tokenizer")
    split = textus.Shards.open(options.run / "shards").split("train")

    # A window is a pure function of its number, the seed and the context: nothing is drawn from a state.
    windows = textus.Windows(split, options.context, offset=1, seed=1)
    window = windows.rows([options.window])
    batch = textus.Causal().batch(window, torch.Generator())

    sources = [document.source for document in corpus.documents("train")]
    for part in windows.sources(options.window):
        print(f"tokens {part.start} to {part.stop - 1} of {sources[part.document]}")
    print(f"\n{batch.count} of {batch.labels.numel()} positions are asked\n")

    rows = zip(batch.tokens[0].tolist(), batch.labels[0].tolist(), window.documents[0].tolist(), strict=False)
    before = 0
    for token, label, document in rows:
        if document != before:
            print("-" * 40)  # attention and labels stop here
        read = f"'{tokenizer.token_text(token)}'"
        asked = "" if label == IGNORE else f"'{tokenizer.token_text(label)}'"
        print(f"{read:>24} | {asked}")
        before = document


if __name__ == "__main__":
    main()
