"""A tiny run whose every part is real: text, tokenizer, shards, model, and a directory of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import write_model
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.pipeline import build_from
from textus.dataset.pack import Windows
from textus.dataset.tokenize import Shards
from textus.dataset.tokenize import build as build_shards
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.train import build as build_tokenizer
from textus.training.keep import METRICS
from textus.training.log import OF_THE_MACHINE
from textus.training.loop import Step, TrainState
from textus.training.recipe import Recipe
from textus.training.run import Run

CONTEXT = 16
RECIPE: dict[str, Any] = {
    "steps": 12,
    "batch_tokens": 8 * CONTEXT,
    "micro_batch_tokens": 8 * CONTEXT,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "evaluate_every": 3,
    "evaluate_tokens": 10 * CONTEXT,
    "checkpoint_every": 4,
    "device": os.environ.get("TEXTUS_TEST_DEVICE", "cpu"),
}
MODEL: dict[str, Any] = {
    "context_length": CONTEXT,
    "num_layers": 2,
    "hidden_size": 16,
    "num_heads": 2,
    "num_kv_heads": 1,
    "head_size": 8,
    "intermediate_size": 32,
}


BYTES = ("model", "weights", "optimizer")


class Stop(Exception):
    """Ends a run between two steps, as a kill would: nothing more is saved."""


class Words:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def task(self, name: str, total: float, unit: str) -> Any:
        from textus.progress import SILENT

        return SILENT.task(name, total, unit)

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Bench:
    """Makes runs over one small text."""

    shards: Shards
    tokenizer: Tokenizer

    def run(
        self,
        directory: Path,
        *,
        objective: Any = None,
        on_step: Callable[[Step], None] = lambda step: None,
        model: dict[str, Any] | None = None,
        **recipe: Any,
    ) -> Run:
        config = ModelConfig(**{**MODEL, "vocab_size": self.tokenizer.vocab_size, **(model or {})})
        seed = recipe.get("seed", 1)
        return Run(
            directory=directory,
            model=Transformer(config, seed=seed),
            tokenizer=self.tokenizer,
            training=Windows(self.shards.split("train"), config.context_length, 1, seed),
            validation=Windows(self.shards.split("validation"), config.context_length, 1, seed, ordered=True),
            objective=objective or Causal(),
            recipe=Recipe(**{**RECIPE, **recipe}),
            provenance={"settings": {}},
            progress=Words(),
            on_step=on_step,
        )

    def stopped(self, directory: Path, at: int, **recipe: Any) -> Run:
        """Kill a run at its step `at`, before anything is done with that step."""

        def stop(step: Step) -> None:
            if step.number == at:
                raise Stop

        run = self.run(directory, on_step=stop, **recipe)
        with pytest.raises(Stop):
            run.finish()
        return run

    @staticmethod
    def said(run: Run) -> str:
        """What the run has said, a line each."""
        assert isinstance(run.progress, Words)
        return "\n".join(run.progress.said)

    @staticmethod
    def metrics(directory: Path) -> list[dict[str, Any]]:
        """The metrics without what a clock has said."""
        lines = [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]
        return [{name: value for name, value in line.items() if name not in OF_THE_MACHINE} for line in lines]

    @classmethod
    def outcome(cls, run: Run, state: TrainState) -> dict[str, Any]:
        """Everything that must not depend on interruptions, to the last bit."""
        place = run.directory / "model"
        place.mkdir(exist_ok=True)
        write_model(place, run.model, run.tokenizer, run.provenance)
        last = training_state.path(run.checkpoints, state.step)
        values = training_state.values(last)
        return {
            "model": (place / "model.safetensors").read_bytes(),
            "weights": (last / "model.safetensors").read_bytes(),
            "optimizer": (last / training_state.FOLDER / training_state.TENSORS).read_bytes(),
            "values": {name: value for name, value in values.items() if name not in ("seconds", "metrics_length")},
            "chosen": state.chosen_step,
            "checkpoints": training_state.steps(run.checkpoints),
            "metrics": cls.metrics(run.directory),
        }

    @staticmethod
    def assert_same(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
        """Name the first part that differs, without printing its bytes."""
        for name in theirs:
            assert mine[name] == theirs[name] if name not in BYTES else hash(mine[name]) == hash(theirs[name]), name


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """22 documents of uneven length, some shorter than a window, some longer."""
    folder = tmp_path_factory.mktemp("bench")
    draw = np.random.Generator(np.random.Philox(7))
    names = ["the", "loom", "weaves", "a", "thread", "of", "red", "and", "grey", "wool", "into", "cloth"]
    texts = [" ".join(draw.choice(names, size=int(size))) + f" {size}." for size in draw.integers(3, 60, size=24)]
    config = CorpusConfig(minimum_split_documents=5, validation_fraction=0.2)
    corpus = build_from((Document(text, f"{i}") for i, text in enumerate(texts)), "bench", folder / "corpus", config)
    tokenizer = build_tokenizer(corpus, folder / "tokenizer", TokenizerConfig(vocab_size=288))
    return Bench(build_shards(corpus, tokenizer, folder / "shards"), tokenizer)


@pytest.fixture(autouse=True)
def quick(one_thread: None) -> None:
    """Such small products only lose by sharing them out."""
