"""Train by hand. The loop is a generator: whoever iterates decides what happens between two steps.

Usage: python examples/watch_the_loop.py my_texts/ --steps 100
"""

from __future__ import annotations

import argparse

import textus
from textus.objectives.measure import measure
from textus.training.loop import TrainState, train
from textus.training.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description="Watch a small model learn, step by step.")
    parser.add_argument("texts", help="a file or folder")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--context", type=int, default=64, help="tokens that the model sees at once")
    parser.add_argument("--out", default="runs/loop", help="where corpus, tokenizer and shards are kept")
    options = parser.parse_args()

    shards = textus.pack(options.texts, out=options.out)  # cleaned, split and tokenized, or reopened
    windows = textus.Windows(shards.split("train"), options.context, offset=1, seed=1)
    held_out = textus.Windows(shards.split("validation"), options.context, offset=1, seed=1, ordered=True)

    config = textus.ModelConfig(
        vocab_size=shards.split("train").vocab_size,
        context_length=options.context,
        num_layers=2,
        hidden_size=64,
        num_heads=2,
        num_kv_heads=2,
        head_size=32,
        intermediate_size=160,
    )
    model = textus.Transformer(config, seed=1)
    print(f"{config.num_parameters():,} parameters, {windows.per_epoch:,} windows an epoch")

    recipe = Recipe(
        steps=options.steps,
        batch_tokens=1024,
        micro_batch_tokens=1024,
        learning_rate=3e-3,
        warmup_steps=options.steps // 10,
    )
    loader = textus.Loader(windows, rows_per_step=recipe.rows(options.context))
    objective, state = textus.Causal(), TrainState.start(model, recipe)

    for step in train(model, loader, objective, recipe, state):
        line = f"step {step.number:4}  loss {step.loss:.3f}  rate {step.learning_rate:.1e}"
        if step.number % 20 == 0 or step.number == recipe.steps:
            loss = measure(model, objective, [held_out.rows([0])], recipe.device)
            line += f"  held out: perplexity {loss.perplexity:.1f} over {loss.count} tokens"
        print(line)  # log it, stop here with `break`, change what you like


if __name__ == "__main__":
    main()
