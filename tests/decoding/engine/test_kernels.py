"""The kernels of a GPU, run by Triton's interpreter: the texts are those that the CPU's engine writes."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton is not installed: torch for a GPU brings it"
)


@pytest.fixture(scope="module")
def found():
    """What a process in which Triton interprets says: it has to be told before it is imported."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("interpreted.py"))],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("way", ["alone", "apart", "together", "guessed"])
@pytest.mark.parametrize("strategy", ["Greedy", "Sample"])
def test_kernels_write_what_a_cpu_writes(found, way, strategy):
    for text, wanted in zip(found[way][strategy], found["cpu"][strategy], strict=False):
        assert len(text) >= 4
        assert text == wanted[: len(text)]


def test_guesses_that_are_right_spare_steps(found):
    assert found["guessed_steps"] < len(found["guessed"]["Greedy"][0])


def test_guesses_are_those_of_the_plain_search(found):
    assert found["guesses"] == found["searched"]
