"""Train on your own text and look at what came of it: the same as `textus train`, in Python.

Usage: python examples/train_on_your_text.py my_texts/ --out runs/mine training.minutes=5
"""

from __future__ import annotations

import argparse

import textus
from textus.config import override


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on files and folders of text.")
    parser.add_argument("texts", help="a file or folder")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="for example training.minutes=5")
    parser.add_argument("--out", default="runs/mine", help="the run's directory")
    options = parser.parse_intermixed_args()  # options and settings in any order

    # Settings are values: frozen, checked when they are made, and the same in Python, TOML and on the command line.
    settings = textus.RunSettings()
    for item in options.settings:
        settings = override(settings, item)

    result = textus.train(
        options.texts,
        out=options.out,
        settings=settings,
        progress=textus.console(),  # bars on a terminal and in a notebook, plain lines elsewhere
        on_plan=lambda plan: print(plan.text()),  # before anything expensive begins
    )

    print()
    for score in result.scores:
        print(score)  # with its standard error and unit
    for name in ("xz", "bzip2", "zstd", "ngram"):
        print(f"{name} needs {result.baselines[name]:.3f} bits/byte for the same text")
    print(f"\n{result.samples[0]}\n")
    print(f"{result.parameters:,} parameters, {result.tokens_seen:,} tokens, {result.seconds:.0f} s of training")
    print(f"the whole report: {result.directory / 'report.html'}")


if __name__ == "__main__":
    main()
