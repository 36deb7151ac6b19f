"""A kill, a full disk, many at work: whatever happens on the way, the corpus comes out the same, byte for byte."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from textus import storage
from textus.corpus import pipeline
from textus.corpus.config import CorpusConfig
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.filters.config import FilterConfig, QualityConfig
from textus.corpus.passages.config import BoilerplateConfig, PassagesConfig
from textus.corpus.pipeline import build
from textus.corpus.privacy.config import PrivacyConfig
from textus.corpus.steps import options
from textus.corpus.work import carriers
from textus.corpus.work.config import WorkConfig
from textus.corpus.work.task import Task, perform
from textus.errors import TextusError
from textus.verbs.lock import locked

WORDS = [first + last for first in ("ba", "ko", "mi", "nu", "re", "sta") for last in ("la", "ne", "ri", "so", "tum")]
MODULES = ["textus.corpus.pipeline", "textus.corpus.steps.repeat"]
USERS = (carriers, options, pipeline)
"""Modules that have tasks performed."""


def settings(folder: Path, **work: Any) -> CorpusConfig:
    """Return settings with which every step has something to do, and several pieces to do it on."""
    return CorpusConfig(
        work=WorkConfig(**{"workers": 1, "task_mb": 0.02, **work}),
        test_fraction=0.1,
        privacy=PrivacyConfig(policy="redact"),
        boilerplate=BoilerplateConfig(minimum_documents=5, minimum_share=0.0, minimum_words=4),
        passages=PassagesConfig(action="remove", minimum_words=20),
        contamination=ContaminationConfig(against=(str(folder / "b.jsonl"),)),
        filter=FilterConfig(quality=QualityConfig(good=(str(folder / "a.jsonl"),), bad=(str(folder / "c.jsonl"),), minimum=0.01)),
    )


def texts(number: int, seed: int) -> list[str]:
    """Return documents of which some are the same, some nearly, and many share a line."""
    draw = random.Random(seed)
    found: list[str] = []
    for index in range(number):
        words = draw.choices(WORDS, k=120)
        if index % 7 == 3:
            words = [word.strip(".").lower() for word in found[-1].split()][:120]
            words[50] = "changed"
        lines = [" ".join(words[start : start + 12]).capitalize() + "." for start in range(0, 120, 12)]
        if index % 3 == 0:
            lines.append("All rights reserved by the society of weavers.")
        if index % 5 == 0:
            lines[2] += f" Write to {words[0]}@example.org."
        found.append("\n".join(lines) if index % 11 or not found else found[-1])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("texts")
    (place / "in").mkdir()
    for name in "abc":
        lines = [json.dumps({"text": text, "kind": name}) for text in texts(40, ord(name))]
        (place / f"in/{name}.jsonl").write_text("\n".join(lines), "utf-8")
    for name, number in (("a", 20), ("b", 5), ("c", 20)):
        lines = [json.dumps({"text": text}) for text in texts(number, ord(name))]
        (place / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    return place


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the tasks that are done in this process, by step."""
    counts: Counter[str] = Counter()

    def counting(task: Task) -> None:
        if not task.is_done:
            counts[task.place.parent.name if task.kind == "work" else "corpus"] += 1
        perform(task)

    with pytest.MonkeyPatch.context() as patch:
        for module in USERS:
            patch.setattr(module, "perform", counting)
        yield counts


@pytest.fixture(scope="module")
def wanted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of an undisturbed corpus, and its steps in order."""
    place = tmp_path_factory.mktemp("wanted") / "corpus"
    with counted() as counts:
        build([folder / "in"], place, settings(folder))
    record = json.loads((place / "report.json").read_text("utf-8"))
    assert {"duplicate", "near duplicate"} <= set(record["documents"]["dropped"])
    assert {"boilerplate lines", "passages cut", "redacted: email"} <= set(record["taken_out"])
    return tree(place), list(counts)


def tree(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def half_there(corpus: Path) -> list[Path]:
    return [path for path in corpus.parent.rglob(".*") if ".partial-" in path.name]


# Processes of our own, in which a task comes to harm.


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """Let every file end at its hundredth byte; what comes of it is what comes of a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def run_harmed(
    how: Callable[[], None], step: str, moment: str, folder: Path, corpus: Path, told: Connection
) -> None:
    """Let `how` happen at the first task of a step: before it, when its files are written, or once it is sealed."""
    seal = storage.seal

    def harmed_seal(*given: Any) -> Any:
        how()
        return seal(*given)

    def harmed(task: Task) -> None:
        is_here = step == (task.place.parent.name if task.kind == "work" else "corpus") and not task.is_done
        if is_here and moment == "before":
            how()
        if is_here and moment == "inside":
            storage.seal = harmed_seal
        perform(task)
        if is_here and moment == "after":
            how()

    for module in USERS:
        module.perform = harmed
    try:
        build([folder / "in"], corpus, settings(folder))
        told.send("done")
    except TextusError as error:
        told.send(f"{error}; hint: {error.hint}")
    except BaseException as error:
        told.send(f"not ours: {error!r}")


def run(how: Callable[[], None], step: str, moment: str, folder: Path, corpus: Path) -> tuple[int, str]:
    """Run the pipeline in a process that comes to harm; return how it ended, and what it said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=run_harmed, args=(how, step, moment, folder, corpus, there))
    process.start()
    there.close()
    try:
        said = here.recv()
    except EOFError:
        said = ""
    process.join()
    assert process.exitcode is not None
    return process.exitcode, said


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
def test_a_kill_in_any_step_costs_nothing_but_time(folder, wanted, tmp_path, moment):
    files, steps = wanted
    assert len(steps) > 15
    corpus = tmp_path / "corpus"
    for step in steps:  # one after the other: each run goes on where the last one was killed
        assert run(kill, step, moment, folder, corpus) == (-signal.SIGKILL, ""), step
        assert corpus.exists() == (step == "corpus" and moment == "after")
    build([folder / "in"], corpus, settings(folder))
    assert tree(corpus) == files
    assert not half_there(corpus)


def test_a_full_disk_in_any_step_is_told_and_nothing_is_half_there(folder, wanted, tmp_path):
    files, steps = wanted
    corpus = tmp_path / "corpus"
    for step in steps:
        code, said = run(fill_disk, step, "before", folder, corpus)
        assert (code, said.count("no space left to write")) == (0, 1), (step, said)
        assert "\n" not in said
        assert "hint: free disk space" in said
        assert not corpus.exists()
        assert not half_there(corpus), step
    build([folder / "in"], corpus, settings(folder))
    assert tree(corpus) == files
