"""Write texts by the kernels of a GPU, interpreted, and by the CPU's engine, and print both as JSON."""

import json
import random
from unittest import mock

import numpy as np
import torch
from tokenizers import pre_tokenizers, trainers

from textus.decoding.engine import board, engine
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.history import History
from textus.decoding.processors import MinP, Temperature, TopK, TopP
from textus.decoding.speculative import Ngrams
from textus.decoding.strategy import Greedy, Sample
from textus.decoding.writer import Ending
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import SPECIAL_TOKENS, Tokenizer, finish, untrained

STRATEGIES = (Greedy(), Sample(Temperature(0.9), TopK(20), TopP(0.9), MinP(0.01)))
PROMPTS = ([0, 5, 130, 7, 130, 7], [0, 9, 9, 9])
NEW = 4
VOCABULARY = 300


def small() -> Transformer:
    config = ModelConfig(
        vocab_size=VOCABULARY,
        context_length=32,
        num_layers=1,
        hidden_size=32,
        num_heads=4,
        num_kv_heads=2,
        head_size=16,
        intermediate_size=48,
    )
    model = Transformer(config, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.eval()


def tokenizer() -> Tokenizer:
    made, alphabet = untrained(), pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(["a b"], trainer)
    made.add_tokens([f"<{number}>" for number in range(VOCABULARY - made.get_vocab_size())])
    return finish(made)


def texts(made: Engine, prompts, new: int, guesses: int = 0) -> dict[str, list[list[int]]]:
    told = {}
    for strategy in STRATEGIES:
        handles = [
            made.submit(prompt, strategy, Ending(new), seed=3, row=row, guesses=guesses)
            for row, prompt in enumerate(prompts)
        ]
        told[type(strategy).__name__] = [[piece.token for piece in handle] for handle in handles]
    return told


def guesses(stage) -> tuple[list[list[int]], list[list[int]]]:
    """Return what the kernel guesses behind texts of few words, and what a plain search finds."""
    made, wanted = [], []
    source = random.Random(1)
    for _ in range(4):
        said = [source.randrange(3) for _ in range(source.randrange(2, 14))]
        lines = stage.lines()
        lines[0, board.POSITION] = len(said) - 1
        stage.begin_to_guess(lines, np.array([said], dtype=np.int32))
        searched = Ngrams(3, stage.each - 1).guess(History.of([said]), None, None, stage.each - 1)
        wanted.append([said[-1], *searched])
        made.append(stage.board[: 1 + len(searched), board.TOKEN].tolist())
    return made, wanted


def main() -> None:
    torch.set_num_threads(1)
    model, words = small(), tokenizer()
    found = {"cpu": texts(Engine(model, words, EngineConfig(batch_size=2), way="cpu"), PROMPTS, 2 * NEW)}
    config = EngineConfig(batch_size=2, burst=2)
    for way, count in (("alone", 1), ("apart", 1), ("together", 2)):
        made = Engine(model, words, config, way="gpu")
        assert made._runner.swift is not None
        if way == "apart":
            made._runner.swift.alone = None
        found[way] = texts(made, PROMPTS[:count], NEW)
    made = Engine(model, words, config, way="gpu")
    with mock.patch.object(engine, "guessed", wraps=engine.guessed) as seen:
        found["guessed"] = texts(made, PROMPTS[:1], 2 * NEW, guesses=3)
    found["guessed_steps"] = sum(call.args[3] for call in seen.call_args_list)
    found["guesses"], found["searched"] = guesses(made._runner.swift.stage(1, 4))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
