"""Show sources in proportions of your own: the place of any window follows from its number alone.

Usage: python examples/mix_sources.py my_texts notes.md --weights my_texts=3 notes=1
"""

from __future__ import annotations

import argparse
from collections import Counter

import textus
from textus.dataset.config import MixtureConfig
from textus.dataset.mixture import mix, names_of


def main() -> None:
    parser = argparse.ArgumentParser(description="Mix the sources of a corpus.")
    parser.add_argument("texts", nargs="+", help="files and folders of text")
    parser.add_argument("--weights", nargs="+", required=True, metavar="NAME=WEIGHT")
    parser.add_argument("--out", default="runs/mixture", help="where the corpus and its tokens go")
    options = parser.parse_args()

    shards = textus.pack(options.texts, out=options.out)
    corpus = textus.Corpus.open(shards.directory.parent / "corpus")
    names = [names_of(document) for document in corpus.documents("train")]
    config = MixtureConfig(weights=tuple(options.weights))
    mixture = mix(shards.split("train"), names, config, context_length=64, offset=1, seed=1)

    which, inside = mixture.places(range(100))
    shown = Counter(mixture.names[source] for source in which.tolist())
    for name, epochs in mixture.epochs(100).items():
        print(f"{name}: {shown[name]} of 100 windows, {epochs:.3f} epochs")
    print("turns:", " ".join(mixture.names[source] for source in which.tolist()[:12]))

    # Nothing is replayed: a run that resumes at any step asks for its windows by number.
    which, inside = mixture.places([1_000_000])
    print(f"window 1000000 is window {int(inside[0])} of {mixture.names[int(which[0])]}")

    # A mixture stands where windows stand: in a loader, or in training.
    window = textus.Loader(mixture, rows_per_step=4).window(step=7)
    print("a batch of", tuple(window.tokens.shape), "tokens")


if __name__ == "__main__":
    main()
