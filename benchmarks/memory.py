"""How far the memory that a plan states is from what is then used: one fresh process for each shape.

python benchmarks/memory.py TEXT
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPES = [
    {"model.hidden_size": 64, "model.num_layers": 2},
    {"model.hidden_size": 128, "model.num_layers": 4},
    {"model.hidden_size": 192, "model.num_layers": 4, "training.batch_tokens": 8192},
    {"model.hidden_size": 256, "model.num_layers": 6, "training.precision": "fp32"},
    {"model.hidden_size": 512, "model.num_layers": 8},
    {"model.hidden_size": 512, "model.num_layers": 8, "training.batch_tokens": 8192},
    {"model.hidden_size": 768, "model.num_layers": 12, "training.precision": "fp32"},
    {"tokenizer.vocab_size": 8192, "model.hidden_size": 256, "model.num_layers": 4, "training.batch_tokens": 8192},
]


def measure(text: str, shape: dict, folder: Path) -> dict:
    settings = [f"{key}={value}" for key, value in {**shape, "training.steps": 4, "training.evaluate_every": 2}.items()]
    command = [sys.executable, "-m", "textus", "train", text, "-o", str(folder), "--json", *settings]
    subprocess.run(command, check=True, capture_output=True)
    planned = json.loads((folder / "plan.json").read_text())["memory_bytes"]
    used = json.loads((folder / "training.json").read_text())["peak_memory_bytes"]
    return {**shape, "planned_mib": planned >> 20, "used_mib": used >> 20, "off_percent": 100 * (planned / used - 1)}


def main() -> None:
    rows = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(sys.argv[1], shape, Path(folder) / "run"))
            print(rows[-1], file=sys.stderr)
    print(
        json.dumps(
            {"benchmark": "memory plan", "rows": rows, "worst_percent": max(abs(r["off_percent"]) for r in rows)}
        )
    )


if __name__ == "__main__":
    main()
