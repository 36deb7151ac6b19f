from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from textus.errors import ArtefactError, ConfigError, ResourceError
from textus.training.log import MetricsLog, read_metrics


def write(path: Path, steps: range, length: int = 0) -> int:
    log = MetricsLog(path, length)
    for step in steps:
        log.write({"step": step, "loss": step / 7})
    length = log.sync()
    log.close()
    return length


def test_a_resumed_file_reads_as_if_the_run_had_never_stopped(tmp_path: Path) -> None:
    write(tmp_path / "whole.jsonl", range(9))
    length = write(tmp_path / "killed" / "m.jsonl", range(5))
    assert length == (tmp_path / "killed" / "m.jsonl").stat().st_size
    with (tmp_path / "killed" / "m.jsonl").open("ab") as file:
        file.write(b'{"step": 5, "loss": 0.7}\n{"step": 6, "lo')
    write(tmp_path / "killed" / "m.jsonl", range(5, 9), length)
    assert (tmp_path / "killed" / "m.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert [line["step"] for line in read_metrics(tmp_path / "whole.jsonl")] == list(range(9))
    assert read_metrics(tmp_path / "whole.jsonl")[3]["loss"] == 3 / 7


def test_a_new_run_begins_anew(tmp_path: Path) -> None:
    write(tmp_path / "m.jsonl", range(5))
    write(tmp_path / "m.jsonl", range(2))
    assert len(read_metrics(tmp_path / "m.jsonl")) == 2


def test_a_file_that_was_deleted_meanwhile_is_not_filled_with_zeros(tmp_path: Path) -> None:
    length = write(tmp_path / "m.jsonl", range(5))
    (tmp_path / "m.jsonl").unlink()
    write(tmp_path / "m.jsonl", range(5, 7), length)
    assert [line["step"] for line in read_metrics(tmp_path / "m.jsonl")] == [5, 6]


def test_every_line_is_json_even_where_the_loss_was_not_a_number(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "m.jsonl")
    log.write({"step": 1, "loss": float("nan"), "gradient_norm": float("inf"), "reason": "loss is nan"})
    log.close()

    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads((tmp_path / "m.jsonl").read_text(), parse_constant=refuse)
    (line,) = read_metrics(tmp_path / "m.jsonl")
    assert line["loss"] != line["loss"]
    assert line["reason"] == "loss is nan"


def test_reading_skips_a_half_line_and_names_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    assert read_metrics(path) == []
    path.write_bytes(b'{"step": 1}\n{"st')
    assert read_metrics(path) == [{"step": 1}]
    path.write_bytes(b'{"step": 1}\n\0\0\0\n')
    with pytest.raises(ArtefactError, match=r"m\.jsonl:2: damaged"):
        read_metrics(path)


def test_a_full_disk_is_one_sentence_when_writing_and_when_closing(tmp_path: Path) -> None:
    code = """
import pathlib, resource, signal, sys
from textus.errors import ResourceError
from textus.training.log import MetricsLog
log = MetricsLog(pathlib.Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for work in (lambda: [log.write({"step": step}) for step in range(100)], log.sync, log.close):
    try:
        work()
    except ResourceError as error:
        print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.jsonl"], capture_output=True, text=True)
    assert set(done.stdout.splitlines()) == {f"{tmp_path / 'm.jsonl'}: no space left to write"}
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="a file stands where a directory is needed"):
        MetricsLog(tmp_path / "file" / "m.jsonl")


def test_tensorboard_gets_the_numbers_of_each_step(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = MetricsLog(tmp_path / "m.jsonl", tensorboard=True, first_step=1)
    for step in (1, 2):
        log.write({"step": step, "loss": step / 2, "judgement": "words"})
    log.sync()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.5), (2, 1.0)]
    log.close()


def test_a_missing_tensorboard_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="TensorBoard is not installed") as caught:
        MetricsLog(tmp_path / "m.jsonl", tensorboard=True)
    assert "textus[track]" in caught.value.hint
    assert not (tmp_path / "m.jsonl").exists()
