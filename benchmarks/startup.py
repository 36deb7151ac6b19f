"""What `textus --help` costs in CPU seconds: the least of several fresh processes, beside an empty Python.

python benchmarks/startup.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def cpu_seconds(command: list[str], repeats: int = 15) -> float:
    times = []
    for _ in range(repeats):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(times)


def main() -> None:
    textus = str(Path(sys.executable).with_name("textus"))
    found = {
        "python": cpu_seconds([sys.executable, "-c", "pass"]),
        "textus --help": cpu_seconds([textus, "--help"]),
        "textus train --help": cpu_seconds([textus, "train", "--help"]),
        "import textus": cpu_seconds([sys.executable, "-c", "import textus"]),
    }
    print(json.dumps({"benchmark": "startup", "unit": "CPU seconds", **found}))


if __name__ == "__main__":
    main()
