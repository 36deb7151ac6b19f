"""Learn vocabularies of several sizes from one count of the words, and see how each cuts the validation part.

Usage: python examples/compare_tokenizers.py runs/first --sizes 1024 4096
"""

from __future__ import annotations

import argparse
from pathlib import Path

import textus
from textus.tokenizer import fertility
from textus.tokenizer.train import assembled, count_words, learnt


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare vocabularies of several sizes on a run's corpus.")
    parser.add_argument("run", type=Path, help="a run's directory")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024], metavar="N")
    options = parser.parse_args()

    corpus = textus.Corpus.open(options.run / "corpus")
    texts = (document.text for document in corpus.documents("train"))
    counts = count_words(texts, textus.TokenizerConfig(), corpus.num_bytes("train"))

    # Merges are learnt in one order, so a smaller vocabulary is the beginning of a larger one.
    merges = learnt(counts, max(options.sizes))
    named = [(str(size), assembled(merges[: size - 260])) for size in options.sizes]
    named.append(("the run's", textus.Tokenizer.load(options.run / "tokenizer")))

    terms = fertility.terms(corpus.documents("train"))
    print(f"{'vocabulary':>12} {'bytes per token':>16} {'tokens per word':>16} {'terms in one token':>19}")
    for name, tokenizer in named:
        whole = fertility.total(fertility.by_source(tokenizer, corpus.documents("validation")))
        known = f"{len(fertility.in_one_token(tokenizer, terms))} of {len(terms)}"
        print(f"{name:>12} {whole.bytes_per_token:16.3f} {whole.tokens_per_word:16.3f} {known:>19}")


if __name__ == "__main__":
    main()
