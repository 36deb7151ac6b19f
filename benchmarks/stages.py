"""Seconds and peak memory of every stage, each in a process of its own, and of a second run that finds all made.

python benchmarks/stages.py TEXTS... [key=value ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = ("clean", "tokenize", "pack", "plan", "train", "train")


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
            command = [sys.executable, "-m", "textus", stage, *sys.argv[1:], "-o", str(run)]
            seconds, peak = peak_mib(command)
            rows.append({"stage": stage, "seconds": round(seconds, 1), "peak_mib": round(peak)})
            print(rows[-1], file=sys.stderr, flush=True)
    rows[-1]["stage"] = "train, all made"
    print(json.dumps({"benchmark": "stages", "arguments": sys.argv[1:], "rows": rows}))


if __name__ == "__main__":
    main()
