"""One prompt, one seed, several ways of choosing the next token.

Usage: python examples/sample_strategies.py runs/first "Once upon a time"
"""

from __future__ import annotations

import argparse

import textus
from textus.decoding.generate import complete

# Read from left to right, applied from left to right.
STRATEGIES = (
    textus.Greedy(),
    textus.Greedy(textus.RepetitionPenalty(1.2)),
    textus.Sample(),
    textus.Sample(textus.Temperature(0.7)),
    textus.Sample(textus.Temperature(1.3), textus.TopK(20)),
    textus.Sample(textus.Temperature(1.3), textus.TopP(0.9)),
    textus.Sample(textus.TopP(0.9), textus.Temperature(1.3)),  # another order is another distribution
    textus.Sample(textus.MinP(0.1)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare sampling strategies.")
    parser.add_argument("run", help="a run or model directory")
    parser.add_argument("prompt", nargs="?", default="")
    parser.add_argument("--max-tokens", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    opened = textus.load(options.run)
    for strategy in STRATEGIES:
        written = complete(
            opened.model,
            opened.tokenizer,
            options.prompt,
            strategy,
            max_tokens=options.max_tokens,
            seed=options.seed,
        )
        # How likely the model itself finds what it wrote, before any processor.
        nats = -sum(written.logprobs) / max(1, len(written.logprobs))
        print(f"{' -> '.join(strategy.describe())}   ({nats:.2f} nats a token, {written.finish_reason})")
        print(f"    {options.prompt}{written.text}\n")


if __name__ == "__main__":
    main()
