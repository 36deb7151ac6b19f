"""How foreign is a text to a model? Rank files by bits per byte, each with its standard error.

Usage: python examples/evaluate_a_text.py runs/first other_texts/*.txt
"""

from __future__ import annotations

import argparse

import textus


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a model on files, one by one.")
    parser.add_argument("run", help="a run or model directory")
    parser.add_argument("texts", nargs="+", help="text files")
    parser.add_argument("--stride", type=int, default=0, metavar="TOKENS", help="new tokens a window (0: half of it)")
    options = parser.parse_args()

    opened = textus.load(options.run)
    found = [(path, textus.evaluate(opened, path, stride=options.stride or "auto")) for path in options.texts]

    # Bits per byte, and not perplexity: what one token holds differs from text to text.
    found.sort(key=lambda pair: pair[1].score("bits_per_byte").value)
    print("bits/byte   error  bytes/token      bytes  file")
    for path, measured in found:
        score = measured.score("bits_per_byte")
        bytes_per_token = measured.num_bytes / measured.tokens
        print(f"{score.value:9.3f} {score.error:7.3f} {bytes_per_token:12.2f} {measured.num_bytes:10,}  {path}")
    print(f"\n{found[0][1].note}")


if __name__ == "__main__":
    main()
