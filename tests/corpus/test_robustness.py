"""A kill, a full disk, many at work: whatever happens on the way, the corpus comes out the same, byte for byte."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textus import storage
from textus.corpus import pipeline, store
from textus.corpus.config import CorpusConfig
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.corpus import Corpus
from textus.corpus.duplicates.config import DuplicatesConfig, SemanticConfig
from textus.corpus.filters.config import FilterConfig, QualityConfig
from textus.corpus.passages.config import BoilerplateConfig, PassagesConfig
from textus.corpus.pipeline import build
from textus.corpus.privacy.config import PrivacyConfig
from textus.corpus.steps.meaning import Embedding
from textus.corpus.steps.options import Models
from textus.corpus.work import carriers
from textus.corpus.work.config import WorkConfig
from textus.corpus.work.task import Task, perform
from textus.errors import TextusError
from textus.verbs.lock import locked

WORDS = [first + last for first in ("ba", "ko", "mi", "nu", "re", "sta") for last in ("la", "ne", "ri", "so", "tum")]
MODULES = ["textus.corpus.pipeline", "textus.corpus.steps.repeat"]
USERS = (carriers, pipeline)
"""Modules that have tasks performed."""


def settings(folder: Path, **work: Any) -> CorpusConfig:
    """Return settings with which every step has something to do, and several pieces to do it on."""
    return CorpusConfig(
        work=WorkConfig(**{"workers": 1, "task_mb": 0.02, **work}),
        test_fraction=0.1,
        semantic=SemanticConfig(model="words", threshold=0.95),
        privacy=PrivacyConfig(policy="redact"),
        boilerplate=BoilerplateConfig(minimum_documents=5, minimum_share=0.0, minimum_words=4),
        passages=PassagesConfig(action="remove", minimum_words=20),
        contamination=ContaminationConfig(against=(str(folder / "b.jsonl"),)),
        filter=FilterConfig(
            quality=QualityConfig(good=(str(folder / "a.jsonl"),), bad=(str(folder / "c.jsonl"),), minimum=0.01)
        ),
    )


def count_words(given: Sequence[str]) -> np.ndarray:
    """Embed a text by how often it has each word: the same words in any order mean the same."""
    counts = (Counter(text.lower().replace(".", "").split()) for text in given)
    return np.array([[count[word] for word in WORDS] for count in counts], np.float32)


MODELS = Models(None, Embedding("words", count_words))


def texts(number: int, seed: int) -> list[str]:
    """Return documents of which some are the same, some nearly, and many share a line."""
    draw = random.Random(seed)
    found: list[str] = []
    for index in range(number):
        words = draw.choices(WORDS, k=120)
        if index % 13 == 6:
            words = [word.strip(".").lower() for word in found[-1].split()][:120]
            draw.shuffle(words)
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
        build([folder / "in"], place, settings(folder), models=MODELS)
    record = json.loads((place / "report.json").read_text("utf-8"))
    assert {"duplicate", "near duplicate", "same in other words"} <= set(record["documents"]["dropped"])
    assert {"boilerplate lines", "passages cut", "redacted: email"} <= set(record["taken_out"])
    return tree(place), list(counts)


def tree(place: Path) -> dict[str, bytes]:
    return {
        path.relative_to(place).as_posix(): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()
    }


def half_there(corpus: Path) -> list[Path]:
    return [path for path in corpus.parent.rglob(".*") if ".partial-" in path.name]


# Processes of our own, in which a task comes to harm.


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """Let every file end at its hundredth byte; what comes of it is what comes of a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def run_harmed(how: Callable[[], None], step: str, moment: str, folder: Path, corpus: Path, told: Connection) -> None:
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
        build([folder / "in"], corpus, settings(folder), models=MODELS)
        told.send("done")
    except TextusError as error:
        told.send(str(error))
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
    build([folder / "in"], corpus, settings(folder), models=MODELS)
    assert tree(corpus) == files
    assert not half_there(corpus)


def test_a_full_disk_in_any_step_is_told_and_nothing_is_half_there(folder, wanted, tmp_path):
    files, steps = wanted
    corpus = tmp_path / "corpus"
    for step in steps:
        code, said = run(fill_disk, step, "before", folder, corpus)
        sentence, _, hint = said.partition("\n\n")
        assert (code, sentence.endswith("no space left to write")) == (0, True), (step, said)
        assert "\n" not in sentence
        assert hint.startswith("hint: free disk space")
        assert not corpus.exists()
        assert not half_there(corpus), step
    build([folder / "in"], corpus, settings(folder), models=MODELS)
    assert tree(corpus) == files


# Whoever does the work.


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_processes_makes_the_same_corpus(folder, wanted, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(carriers, "_WORTH_PROCESSES", 0)
    build([folder / "in"], tmp_path / "corpus", settings(folder, workers=workers), models=MODELS)
    assert tree(tmp_path / "corpus") == wanted[0]


@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_corpus(folder, wanted, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    build([folder / "in"], tmp_path / "corpus", settings(folder, carrier="ray"), models=MODELS)
    assert tree(tmp_path / "corpus") == wanted[0]


def clean(*arguments: str | Path, to: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    """Run `textus clean` as it is typed."""
    program = [sys.executable, "-c", "from textus.cli.main import main; raise SystemExit(main())", "clean"]
    return subprocess.Popen([*program, *map(str, arguments)], stdout=to, stderr=to, text=True, encoding="utf-8")


def test_ranks_make_the_same_corpus_as_one_command(folder, tmp_path):
    given = (folder / "in", "corpus.work.task_mb=0.02", "corpus.work.workers=1", "--json")
    alone = clean(*given, "-o", tmp_path / "alone")
    ranks = [clean(*given, "-o", tmp_path / "together", "--rank", str(rank), "--world", "3") for rank in range(3)]
    said = [process.communicate() for process in (alone, *ranks)]
    assert [process.returncode for process in (alone, *ranks)] == [0] * 4, said
    assert tree(tmp_path / "together/corpus") == tree(tmp_path / "alone/corpus")
    assert len({json.loads(out)["fingerprint"] for out, _ in said}) == 1
    assert not (tmp_path / "together/.lock").exists()


def test_ranks_fail_together_on_bad_input_and_a_rerun_is_whole(folder, tmp_path):
    place = tmp_path / "in"
    shutil.copytree(folder / "in", place)
    good = (place / "b.jsonl").read_text("utf-8")
    (place / "b.jsonl").write_text(good + '\n{"text": 5', "utf-8")
    given = (place, "corpus.work.task_mb=0.02", "corpus.work.workers=1", "--json", "-o", tmp_path / "run")

    def run_ranks() -> list[tuple[int, str]]:
        ranks = [clean(*given, "--rank", str(rank), "--world", "3") for rank in range(3)]
        said = [rank.communicate(timeout=120)[1] for rank in ranks]
        return [(rank.returncode, words) for rank, words in zip(ranks, said, strict=True)]

    ended = run_ranks()
    assert [code for code, _ in ended] == [2, 2, 2], ended
    assert len({words for _, words in ended}) == 1 and "b.jsonl:41" in ended[0][1]
    (place / "b.jsonl").write_text(good, "utf-8")
    assert [code for code, _ in run_ranks()] == [0, 0, 0]
    build([place], tmp_path / "alone", CorpusConfig(work=WorkConfig(workers=1, task_mb=0.02)))
    assert tree(tmp_path / "run/corpus") == tree(tmp_path / "alone")


def test_what_a_rank_is_told_wrongly_is_named(folder, tmp_path):
    for wrong, words in ((("--rank", "1"), "`rank` must be below `world`"), (("--world", "many"), "corpus.work.world")):
        process = clean(folder / "in", "-o", tmp_path / "run", *wrong)
        out, err = process.communicate()
        assert (process.returncode, out) == (2, ""), err
        assert words in err
        assert not (tmp_path / "run").exists()


def test_a_second_run_in_one_directory_is_refused(folder, tmp_path):
    for shared, again in ((False, ()), (False, ("--world", "2", "--rank", "0")), (True, ())):
        with locked(tmp_path / "run", shared=shared):
            process = clean(folder / "in", "-o", tmp_path / "run", *again)
            out, err = process.communicate()
        assert (process.returncode, out) == (2, "")
        assert f"another textus process ({os.getpid()}) is at work here" in err
        assert "hint: wait until it has ended" in err
        assert not (tmp_path / "run").exists()


def test_a_lock_that_is_shared_is_let_go_by_the_last(tmp_path):
    with locked(tmp_path / "run", shared=True):
        with locked(tmp_path / "run", shared=True):
            pass
        with pytest.raises(TextusError, match="at work here"), locked(tmp_path / "run"):
            pass
    with locked(tmp_path / "run"):
        pass


# What need not be done again is not.


def test_other_thresholds_read_nothing_again(folder, tmp_path):
    asked = settings(folder)
    build([folder / "in"], tmp_path / "corpus", asked, models=MODELS)
    for changes in (
        {"duplicates": DuplicatesConfig(threshold=0.95)},
        {"filter": FilterConfig(rules=("words>=100",))},
        {"privacy": PrivacyConfig(policy="keep")},
        {"validation_fraction": 0.2},
    ):
        with counted() as done:
            build([folder / "in"], tmp_path / "corpus", replace(asked, **changes), models=MODELS)
        assert (done["decided"], done["corpus"]) == (2, 1)  # before what means the same is known, and after
        assert not {"measured", "first", "embedded", "candidates", "pairs", "spelt", "compared", "lines"} & set(done)


def test_a_changed_file_alone_is_read_again(folder, tmp_path):
    place = tmp_path / "in"
    shutil.copytree(folder / "in", place)
    asked = settings(folder)
    with counted() as done:
        build([place], tmp_path / "corpus", asked)
    pieces = done["measured"]
    assert pieces == 3
    path = place / "c.jsonl"
    path.write_text(path.read_text("utf-8") + "\n" + json.dumps({"text": "One more."}), "utf-8")
    with counted() as done:
        build([place], tmp_path / "corpus", asked)
    assert done["measured"] == 1
    build([place], tmp_path / "afresh", asked)
    assert tree(tmp_path / "corpus") == tree(tmp_path / "afresh")


# Odd inputs.


def test_one_long_document_is_work_for_many(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_GROUP_BYTES", 10_000)
    draw = random.Random(0)
    text = "\n".join(" ".join(draw.choices(WORDS, k=12)) for _ in range(6000))
    (tmp_path / "long.txt").write_text(f"A short one.\n<|endoftext|>\n{text}\n<|endoftext|>\nThe last.\n", "utf-8")
    config = CorpusConfig(maximum_document_mb=0.01, work=WorkConfig(workers=1, task_mb=0.05))
    with counted() as done:
        corpus = build([tmp_path / "long.txt"], tmp_path / "corpus", config)
    assert done["unpacked"] == 1 and done["measured"] >= 3
    found = [document.text for split in corpus.splits for document in corpus.documents(split)]
    assert sorted("\n".join(found).split()) == sorted(["A", "short", "one.", "The", "last.", *text.split()])


def test_many_small_files_are_read_in_few_pieces(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for number in range(3000):
        (place / f"{number}.txt").write_text(f"File number {number}.", "utf-8")
    with counted() as done:
        corpus = build([place], tmp_path / "corpus", CorpusConfig(work=WorkConfig(workers=1)))
    assert sum(corpus.count(split) for split in corpus.splits) == 3000
    assert done["measured"] == 1


def test_names_of_no_encoding_and_links_in_a_circle(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    names = [b"caf\xe9.txt", "naïve.txt".encode(), "日本.txt".encode("shift_jis"), b"a\nb.txt"]
    for number, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(place) + b"/" + name)).write_text(f"Text number {number}. " * 5, "utf-8")
    (place / "again").symlink_to(place)
    (place / "nowhere").symlink_to(place / "nowhere")
    process = clean(place, "-o", tmp_path / "run", "--json")
    _, err = process.communicate()
    assert process.returncode == 0, err
    corpus = Corpus.open(tmp_path / "run/corpus")
    sources = {document.source for split in corpus.splits for document in corpus.documents(split)}
    assert sources == {"caf\\xe9.txt", "naïve.txt", "\\x93\\xfa\\x96{.txt", "a\nb.txt"}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_documents(tmp_path):
    """A quarter of a million documents of one line take little more memory than fifty thousand."""

    def peak(number: int) -> int:
        path = tmp_path / f"{number}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f'{{"text": "Line {index} of {index * 7919 % 10007}."}}\n' for index in range(number))
        told = tmp_path / "told.txt"
        with told.open("w") as file:
            given = ("-o", tmp_path / f"run{number}", "corpus.work.workers=1", "corpus.work.task_mb=4")
            process = clean(path, *given, to=file)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, told.read_text()
        return usage.ru_maxrss

    few, many = peak(50_000), peak(250_000)
    assert many - few < 100_000  # kilobytes: half of one a document
