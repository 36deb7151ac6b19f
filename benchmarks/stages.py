"""Seconds and peak memory of every stage, each in a process of its own, and of a second run that finds all made.

`train` is training with the measurements after it (evaluation, compressors, 5-gram); `training_mib` is its peak until
the last step. `evaluate` is the model alone, on the validation part.

python benchmarks/stages.py TEXTS... [key=value ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = ("clean", "tokenize", "pack", "plan", "train", "train, all made", "evaluate", "generate")


def peak_mib(command: list[str]) -> tuple[float, float]:
    """Run a command in a child whose children nobody shares, and return its seconds and peak memory."""
    code = (
        "import resource, subprocess, sys, json;"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
        "print(json.dumps([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))"
    )
    began = time.time()
    found = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    status, peak = json.loads(found.stdout)
    assert status == 0, command
    return time.time() - began, peak / 1024


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        for stage in STAGES:
            words = {"evaluate": [str(run)], "generate": [str(run), "The", "--max-tokens", "200"]}
            arguments = words.get(stage, [*sys.argv[1:], "-o", str(run)])
            seconds, peak = peak_mib([sys.executable, "-m", "textus", stage.partition(",")[0], *arguments])
            rows.append({"stage": stage, "seconds": round(seconds, 1), "peak_mib": round(peak)})
            if stage == "train":
                rows[-1]["training_mib"] = json.loads((run / "training.json").read_text())["peak_memory_bytes"] >> 20
            print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps({"benchmark": "stages", "arguments": sys.argv[1:], "rows": rows}))


if __name__ == "__main__":
    main()
