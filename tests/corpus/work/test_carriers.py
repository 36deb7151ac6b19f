"""Whoever does the tasks, the same bytes come of it; who is killed costs nothing but time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from textus import fingerprint, storage
from textus.corpus.work.carriers import Processes, Ranked, Ray, carry, chosen
from textus.corpus.work.config import WorkConfig
from textus.corpus.work.task import KIND, Task, perform
from textus.errors import ConfigError, InputError, ResourceError
from textus.progress import SILENT

MUCH = 1e7
"""Bytes that are worth a process."""


def write(place: Path, payload: Any) -> Mapping[str, Any]:
    (place / "result").write_text(str(payload))
    return {"written": payload}


def tell_process(place: Path, payload: Any) -> Mapping[str, Any]:
    return {"process": os.getpid()}


def die_once(place: Path, payload: Any) -> Mapping[str, Any]:
    """Be killed the first time that any process comes here."""
    try:
        (Path(payload) / "died").touch(exist_ok=False)
    except FileExistsError:
        return write(place, "survived")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die(place: Path, payload: Any) -> Mapping[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def refuse(place: Path, payload: Any) -> Mapping[str, Any]:
    (place / "half").write_text("done")
    raise InputError("a.txt: damaged", hint="mend it")


def tasks(folder: Path, number: int = 6, work: Any = write) -> list[Task]:
    return [Task(folder / str(index), fingerprint.of_text(f"{index}"), work, index, MUCH) for index in range(number)]


def results(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_task_is_done_once_and_says_what_it_did(tmp_path: Path) -> None:
    task = tasks(tmp_path, 1)[0]
    assert not task.is_done
    perform(task)
    assert task.is_done
    assert task.facts() == {"written": 0}
    before = (tmp_path / "0/result").stat().st_mtime_ns
    perform(task)
    assert (tmp_path / "0/result").stat().st_mtime_ns == before
    perform(Task(task.place, "other key", write, "new"))
    assert (tmp_path / "0/result").read_text() == "new"


def test_any_number_of_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    for workers in (1, 2, 4):
        carrier = Processes(workers)
        for step in ("first", "second"):  # the processes of the first serve again
            carry(carrier, "work", tasks(tmp_path / str(workers) / step), SILENT)
        carrier.stop()
    one, two, four = (results(tmp_path / str(workers)) for workers in (1, 2, 4))
    assert one == two == four
    assert len(one) == 24


def test_ranks_share_the_tasks_and_wait_for_each_other(tmp_path: Path) -> None:
    ranks = [
        threading.Thread(target=carry, args=(Ranked(rank, 3, tmp_path), "work", tasks(tmp_path / "shared", 9), SILENT))
        for rank in range(3)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    carry(Processes(1), "work", tasks(tmp_path / "alone", 9), SILENT)
    assert results(tmp_path / "shared") == results(tmp_path / "alone")


def owned(folder: Path, rank: int, number: int, work: Any = write) -> list[Task]:
    """Tasks that are all of one rank of two."""
    drawn = (Task(folder / str(index), fingerprint.of_text(f"{index}"), work, index, MUCH) for index in range(1000))
    return [task for task in drawn if int(task.key[:8], 16) % 2 == rank][:number]


def test_who_waits_for_a_rank_that_has_failed_fails_as_it_did(tmp_path: Path) -> None:
    first, bad, last = owned(tmp_path / "work", 0, 3)
    bad = Task(bad.place, bad.key, refuse, None, MUCH)
    for rank in (0, 1):  # the first does it, the second waits for it
        with pytest.raises(InputError, match="damaged"):
            carry(Ranked(rank, 2, tmp_path), "work", [first, bad, last], SILENT)
    assert first.is_done and not last.is_done
    mended = Task(bad.place, bad.key, write, "mended", MUCH)
    carry(Ranked(1, 2, tmp_path), "work", [first, mended, last], SILENT)  # the first has not come back yet
    assert first.is_done and mended.is_done and last.is_done
    carry(Ranked(0, 2, tmp_path), "work", [first, mended, last], SILENT)
    assert not list(tmp_path.glob("failed-*"))


def test_the_task_of_a_killed_worker_is_done_again(tmp_path: Path) -> None:
    dying = Task(tmp_path / "dying", "key", die_once, str(tmp_path), MUCH)
    carry(Processes(2), "work", [*tasks(tmp_path / "others", 4), dying], SILENT)
    assert (tmp_path / "dying/result").read_text() == "survived"
    assert all(task.is_done for task in tasks(tmp_path / "others", 4))


def test_a_worker_that_is_killed_every_time_is_told(tmp_path: Path) -> None:
    dying = [Task(tmp_path / str(index), "key", die, None, MUCH) for index in range(2)]
    with pytest.raises(ResourceError, match="killed 3 times") as told:
        carry(Processes(2), "work", dying, SILENT)
    assert "memory" in told.value.hint
    assert not any(task.is_done for task in dying)


def test_a_little_work_is_done_here(tmp_path: Path) -> None:
    task = Task(tmp_path / "here", "key", tell_process, None)
    carry(Processes(2), "work", [task, *tasks(tmp_path, 0)], SILENT)
    few = [Task(tmp_path / name, name, tell_process, None) for name in "ab"]
    carry(Processes(2), "work", few, SILENT)
    assert [each.facts()["process"] for each in (task, *few)] == [os.getpid()] * 3


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_raises_arrives_with_its_hint_and_leaves_nothing_half_done(tmp_path: Path, workers: int) -> None:
    bad = Task(tmp_path / "bad", "key", refuse, None, MUCH)
    with pytest.raises(InputError, match="damaged") as told:
        carry(Processes(workers), "work", [bad, bad], SILENT)
    assert told.value.hint == "mend it"
    assert not (tmp_path / "bad").exists()


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    carry(Processes(1), "work", tasks(tmp_path, 3), SILENT)
    storage.seal(tmp_path / "1", KIND, "an older key", {}, {})
    before = {name: (tmp_path / name / "result").stat().st_mtime_ns for name in "012"}
    carry(Processes(1), "work", tasks(tmp_path, 3), SILENT)
    after = {name: (tmp_path / name / "result").stat().st_mtime_ns for name in "012"}
    assert [before[name] == after[name] for name in "012"] == [True, False, True]


def test_a_ray_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    try:
        carry(Ray(), "work", tasks(tmp_path / "ray"), SILENT)
        dying = Task(tmp_path / "dying", "key", die_once, str(tmp_path), MUCH)
        carry(Ray(), "work", [dying], SILENT)
        with pytest.raises(InputError, match="damaged"):
            carry(Ray(), "work", [Task(tmp_path / "bad", "key", refuse, None, MUCH)], SILENT)
    finally:
        ray.shutdown()
    carry(Processes(1), "work", tasks(tmp_path / "alone"), SILENT)
    assert results(tmp_path / "ray") == results(tmp_path / "alone")
    assert (tmp_path / "dying/result").read_text() == "survived"


def test_the_settings_choose_the_carrier(tmp_path: Path) -> None:
    assert isinstance(chosen(WorkConfig(rank=1, world=2), tmp_path), Ranked)
    assert isinstance(chosen(WorkConfig(carrier="ray"), tmp_path), Ray)
    local = chosen(WorkConfig(workers=3), tmp_path)
    assert isinstance(local, Processes)
    assert local.workers == 3
    with pytest.raises(ConfigError, match="below `world`"):
        WorkConfig(rank=2, world=2)
