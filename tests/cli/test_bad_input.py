"""What users give by mistake, and what machines refuse: one sentence, a hint, exit code 2, and nothing is lost."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

import textus
from textus import config
from textus.progress import SILENT
from textus.verbs.settings import RunSettings

PROSE = "".join(f"{number} looms wove {number * number} ells of cloth, and nobody wore them. " for number in range(800))
GIGABYTE = 10**9
SMALL = (
    "training.steps=2",
    "training.threads=1",
    "training.batch_tokens=256",
    "training.evaluate_tokens=512",
    "model.context_length=64",
    "model.num_layers=1",
    "model.hidden_size=32",
    "sampling.max_tokens=8",
)


def packed(kind: str, data: bytes) -> bytes:
    return {
        "gz": gzip.compress,
        "xz": lzma.compress,
        "bz2": bz2.compress,
        "zst": zstandard.ZstdCompressor().compress,
    }[kind](data)


def parquet(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


TEXT = PROSE.encode()
FILES: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("a.txt", b"", "nothing to read; .*a.txt: empty"),
    "white space": ("a.txt", b" \n\n\t\n", "no document is left of 1 read"),
    "a binary": ("a.txt", b"text\0and zeros" * 100, "a.txt: binary, not text"),
    "a picture": ("a.md", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a.md: binary, not text"),
    "a packed file of another name": ("a.txt", packed("gz", TEXT), "a.txt: binary, not text"),
    "gz cut off": ("a.txt.gz", half(packed("gz", TEXT)), "a.txt.gz: damaged or incomplete"),
    "zst cut off": ("a.txt.zst", half(packed("zst", TEXT)), "a.txt.zst: damaged or incomplete"),
    "xz cut off": ("a.txt.xz", half(packed("xz", TEXT)), "a.txt.xz: damaged or incomplete"),
    "bz2 cut off": ("a.txt.bz2", half(packed("bz2", TEXT)), "a.txt.bz2: damaged or incomplete"),
    "no gz at all": ("a.jsonl.gz", TEXT, "a.jsonl.gz: damaged or incomplete"),
    "parquet cut off": ("a.parquet", half(parquet(text=[PROSE])), "a.parquet: damaged or incomplete"),
    "parquet of another column": ("a.parquet", parquet(body=[PROSE]), "a.parquet: no column `text`; there is body"),
    "parquet of numbers": ("a.parquet", parquet(text=[1, 2]), "column `text` holds int64, not text"),
    "jsonl of another key": ("a.jsonl", b'{"txt": "one"}\n', "a.jsonl:1: no column `text`; there is txt"),
    "jsonl cut off": ("a.jsonl", b'{"text": "one"}\n{"text": "tw', "a.jsonl:2: not valid JSON"),
    "csv of another column": ("a.csv", b"id,body\n1,one\n", "a.csv: no column `text`; there is id, body"),
    "csv of uneven rows": ("a.csv", b"id,text\n1,one\n2,two,three\n", "a.csv: .*expected 2 columns, got 3"),
    "too little text": ("a.txt", b"Hi.", "too few|only \\d+ tokens|supports"),
}
SETTINGS = {
    "model.context_length=100000": "model.context_length is 100000, and the training part has \\d+ tokens",
    "training.learning_rat=1": "no setting `training.learning_rat`",
    "trainin.steps=1": "no setting `trainin`",
    "training.steps=many": "`training.steps` must be a whole number",
    "training.steps=1.5": "`training.steps` must be a whole number",
    "training.steps=0": "`training.steps` must be a whole number at least 1",
    "training.learning_rate=0": "`training.learning_rate` must be a number above 0",
    "training.learning_rate=-1": "`training.learning_rate` must be a number above 0",
    "training.learning_rate=nan": "`training.learning_rate` must be a number above 0",
    "training.learning_rate=inf": "`training.learning_rate` must be a number above 0",
    "training.device=abacus": '`training.device` must be "auto" or',
    "training=fast": "`training` is a group of settings",
    "tokenizer.vocab_size=50000": "the text supports a vocabulary of \\d+ tokens; got tokenizer.vocab_size = 50000",
    "tokenizer.vocab_size=10": "`tokenizer.vocab_size` must be a whole number in \\[260,",
    "corpus.encoding=klingon": "`encoding` must be auto or an encoding that Python knows; got 'klingon'",
    "corpus.text_colum=body": "no setting `corpus.text_colum`",
    "objective.name=magic": "`objective.name` must be",
}


@pytest.fixture
def refuses(cli: Any) -> Callable[..., str]:
    """Type a command and hold its refusal to its form, and the current folder to be as it was before."""

    def check(error: str, *words: str | Path) -> str:
        before = cli.tree(Path())
        told = cli(*words).refused(error).err
        assert cli.tree(Path()) == before
        return str(told)

    return check


@pytest.mark.parametrize("what", FILES)
def test_a_bad_file_is_named_and_a_run_stays_as_it_was(refuses: Any, run: Path, what: str) -> None:
    name, data, words = FILES[what]
    Path(name).write_bytes(data)
    for verb, place in (("train", "new"), ("train", run), ("clean", "new"), ("plan", run)):
        refuses(words, verb, name, "-o", place)


def test_an_empty_folder_and_what_is_not_there_are_named(refuses: Any, run: Path) -> None:
    Path("empty/deeper").mkdir(parents=True)
    Path("dangling.txt").symlink_to("nowhere")
    refuses("empty: no file to read", "train", "empty", "-o", run)
    refuses("nowhere: no such file or folder", "train", "nowhere")
    refuses("dangling.txt: no such file or folder", "train", "dangling.txt")
    refuses("no text was given", "train")
    refuses("no text was given", "train", "-o", "new")
    refuses("a name of no characters", "train", "")


def test_another_encoding_is_named_when_one_was_stated_and_guessed_when_not(
    cli: Any, refuses: Any, texts: Path
) -> None:
    text = "Où êtes-vous allé ? À la forêt. " + "".join(f"Voilà l'arbre numéro {number}.\n" for number in range(400))
    Path("a.txt").write_bytes(text.encode("latin-1"))
    refuses("a.txt: not utf-8: .* near byte 1", "clean", "a.txt", "corpus.encoding=utf-8", "-o", "new")
    cli("clean", "a.txt", "-o", "new").done()
    assert "Où êtes-vous allé ? À la forêt." in cli("inspect", "new", "--document", "0").done().out


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_bad_setting_is_named_and_a_run_stays_as_it_was(refuses: Any, cli: Any, run: Path, setting: str) -> None:
    cli("clean", "texts", "-o", run).done()  # the run was made from texts in another place
    key, _, value = setting.partition("=")
    words = ("train", "texts", *[word for word in SMALL if not word.startswith(key)], "-o", run)
    refuses(SETTINGS[setting], *words, setting)
    section, _, name = key.rpartition(".")
    is_number = value.removeprefix("-").replace(".", "").isdigit() or value in ("nan", "inf")
    shown = value if is_number else f'"{value}"'
    Path("bad.toml").write_text(f"[{section}]\n{name} = {shown}\n" if section else f"{name} = {shown}\n")
    refuses(SETTINGS[setting].replace("is a group", "is a (group|table)"), *words, "bad.toml")


class Stop(Exception):
    """Ends a run in the middle of a step, as a power cut would."""


class PowerCut:
    """A progress that stops training at its third step."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Any]:
        with SILENT.task(name, total, unit) as task:
            self.name, self.done, self.note = name, 0, task.note
            yield self

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        if self.name == "training" and self.done == 3:
            raise Stop

    def say(self, text: str) -> None: ...


@pytest.fixture
def unfinished(cli: Any, texts: Path) -> Path:
    """A run that was cut off after its second step was saved."""
    settings = [*SMALL, "training.steps=4", "training.checkpoint_every=1"]
    base = RunSettings()
    for item in settings:
        base = config.override(base, item)
    with pytest.raises(Stop):
        textus.train("texts", out="run", settings=base, progress=PowerCut())
    return Path("run")


def test_a_run_is_not_gone_on_with_under_other_settings(refuses: Any, cli: Any, unfinished: Path) -> None:
    words = ("train", "texts", "-o", unfinished, *SMALL, "training.checkpoint_every=1")
    for change, difference in {
        "training.learning_rate=0.5": "training.learning_rate auto -> 0.5",
        "training.steps=9": "training.steps 4 -> 9",
        "model.hidden_size=64": "model.hidden_size 32 -> 64",
        "training.seed=5": "training.seed 1 -> 5",
    }.items():
        told = refuses(f"differs from this one in {difference}", *words, "training.steps=4", change)
        assert "go on with it by `textus train run`, choose another -o" in told
    told = cli(*words, "training.steps=4", "--json").done()
    assert "resuming after step 2 of 4" in told.err
    assert told.json["tokens_seen"] > 0


def test_a_run_is_not_gone_on_with_on_another_text(refuses: Any, cli: Any, unfinished: Path) -> None:
    words = ("train", "texts", "-o", unfinished, *SMALL, "training.checkpoint_every=1", "training.steps=4")
    Path("texts/more.txt").write_text(PROSE)
    cli(*words).refused("differs from this one in text")
    Path("texts/more.txt").unlink()
    assert "resuming after step 2 of 4" in cli(*words).done().err


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, as on a disk that is full: the system says so in kind."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN, "Python ignores it, and gets the error instead"
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_disk_that_is_full_at_any_stage_loses_nothing_and_the_same_command_goes_on(cli: Any, texts: Path) -> None:
    words = ("texts", "-o", "run", *SMALL, "training.checkpoint_every=1")
    for size, verb, stage in (
        (4000, "clean", "corpus"),
        (4000, "tokenize", "tokenizer"),
        (20_000, "pack", "shards"),
        (1000, "plan", "plan.json"),
        (20_000, "train", "checkpoints"),
        (100_000, "train", "checkpoints"),
    ):
        before = cli.tree(Path())
        with longest_file(size):
            told = cli(verb, *words).refused("run.*: no space left to write").err
        assert "free disk space, or choose another place with -o; then run the same command" in told
        left = {name for name in cli.tree(Path()) if name not in before}
        assert not any(".partial-" in name for name in left)
        if verb != "train":
            assert not left, left
            cli(verb, *words).done()
            assert (Path("run") / stage).exists()
    cli("train", *words).done()
    Path("run/report.html").unlink()
    with longest_file(7000):
        cli("train", *words).refused("run/(run.toml|report.html): no space left to write")
    before = cli.tree(Path("run"))
    cli("train", *words).done()
    assert {name for name, value in cli.tree(Path("run")).items() if before.get(name) != value} <= {
        "report.html",
        "report.json",
        "result.json",
    }


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root can mount a small disk"
)
@pytest.mark.parametrize("kilobytes", [16, 64, 128, 256, 512])
def test_a_small_disk_is_told_and_after_it_has_grown_the_same_command_ends_well(
    cli: Any, texts: Path, kilobytes: int
) -> None:
    disk = Path("disk").resolve()
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        words = ("train", "texts", "-o", disk / "run", *SMALL, "training.checkpoint_every=1")
        cli(*words).refused("no space left to write")
        assert not [name for name in cli.tree(disk) if ".partial-" in name]
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        cli(*words).done()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_no_permission_is_told_and_nothing_is_left(cli: Any, desk_of_all: Path) -> None:
    Path("a.txt").write_text(PROSE)
    Path("secret.txt").write_text(PROSE)
    Path("secret.txt").chmod(0)
    Path("closed").mkdir(mode=0o000)
    Path("locked").mkdir(mode=0o555)
    cli("clean", "a.txt", "-o", "before").done()  # what Python loads late may not be there for everybody
    with cli.unprivileged():
        cli("train", "secret.txt", "-o", "new").refused("secret.txt: no permission to read it")
        cli("train", "closed", "-o", "new").refused("closed: Permission denied")
        for verb in ("train", "clean", "tokenize", "pack", "plan"):
            cli(verb, "a.txt", "-o", "locked/run").refused("locked/run.*: no permission")
    assert sorted(path.name for path in desk_of_all.iterdir()) == ["a.txt", "before", "closed", "locked", "secret.txt"]
    assert not list(Path("locked").iterdir())
