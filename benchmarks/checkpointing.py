"""What checkpoints cost a run: its speed with none, with saves that it waits for, and with saves in the background.

    python benchmarks/checkpointing.py TEXT [--hidden 256 --layers 6 --steps 120 --every 20] [--device cpu]

Runs of one shape go in turns, so that a machine whose speed drifts is fair to all; the fastest of each counts. For each
kind of saving: `step_ms`, the median step; `stall_ms`, for how long the thread that trains stands still for a save, the
wait for the one before it left out; `slower_percent`, by how much the whole run is slower than one that saves nothing,
`lost_ms_a_save`, and what that is of a minute with one save.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from textus.dataset.pack import Windows
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.training import machine, saving
from textus.training.run import Run
from textus.verbs import settings as run_settings
from textus.verbs.plan import planned
from textus.verbs.stages import Stages

KINDS = ("none", "blocking", "background")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2048, help="tokens a step")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--every", type=int, default=20, help="steps between two saves")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ema", default="off")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def prepared(options: argparse.Namespace, folder: Path) -> tuple[Stages, Any]:
    """Make the stages before training, and a plan with the speed as it is guessed."""
    changes: dict[str, Any] = {
        "training.steps": options.steps,
        "training.batch_tokens": options.batch,
        "training.evaluate_every": options.steps,
        "training.evaluate_tokens": 2 * options.context,
        "training.device": options.device,
        "training.ema": options.ema if options.ema == "off" else float(options.ema),
        "model.hidden_size": options.hidden,
        "model.num_layers": options.layers,
        "model.context_length": options.context,
        "tokenizer.vocab_size": 4096,
    }
    stages = Stages(run_settings.resolve(options.text, folder / "stages", changes))
    return stages, planned(stages)


def train(kind: str, stages: Stages, made: Any, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Train once and return seconds: of the whole, of a step, and of the stalls."""
    recipe = type(made.recipe)(
        **{
            **vars(made.recipe),
            "checkpoint_every": 10**9 if kind == "none" else options.every,
            "saving": "background" if kind == "none" else kind,
            "select": "last",
        }
    )
    stalls: list[float] = []
    save = saving.Saver.save

    def timed(self: saving.Saver, *given: Any) -> None:
        self.wait()
        began = time.perf_counter()
        save(self, *given)
        stalls.append(time.perf_counter() - began)

    marks: list[float] = []
    context, seed = made.model.context_length, recipe.seed
    run = Run(
        directory=folder,
        model=Transformer(made.model, seed=seed),
        tokenizer=stages.tokenizer,
        training=Windows(stages.shards.split("train"), context, 1, seed),
        validation=Windows(stages.shards.split("validation"), context, 1, seed, ordered=True),
        objective=Causal(),
        recipe=recipe,
        provenance={},
        on_step=lambda step: marks.append(time.perf_counter()),
    )
    saving.Saver.save = timed  # type: ignore[method-assign]
    processor = time.process_time()
    try:
        run.finish()
    finally:
        saving.Saver.save = save  # type: ignore[method-assign]
    # from the first step that is over to the last: start, validation and the last save are of no interest
    return {
        "seconds": marks[-1] - marks[0],
        "step": statistics.median(after - before for before, after in itertools.pairwise(marks)),
        "stall": statistics.median(stalls[:-1] or stalls),
        "processor": time.process_time() - processor,
    }


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stages, made = prepared(options, folder)
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for turn in range(options.rounds):
            for kind in KINDS:
                found[kind].append(train(kind, stages, made, options, folder / f"{kind}{turn}"))
    saves = (options.steps - 1) // options.every
    least = {kind: min(row["seconds"] for row in rows) for kind, rows in found.items()}
    rows = {}
    for kind in KINDS:
        lost = (least[kind] - least["none"]) / saves
        rows[kind] = {
            "step_ms": 1000 * min(row["step"] for row in found[kind]),
            "stall_ms": None if kind == "none" else 1000 * min(row["stall"] for row in found[kind]),
            "cpu_seconds": min(row["processor"] for row in found[kind]),
            "lost_ms_a_save": 1000 * lost,
            "slower_percent": 100 * (least[kind] / least["none"] - 1),
            "at_one_a_minute_percent": 100 * lost / 60,
        }
    print(
        json.dumps(
            {
                "benchmark": "checkpointing",
                "device": machine.device_name(made.recipe.device)
                if made.recipe.device == "cuda"
                else platform.machine(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "parameters": made.model.num_parameters(),
                "ema": options.ema,
                "tokens_per_step": options.batch,
                "steps": options.steps,
                "saves": saves,
                "rows": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
