from __future__ import annotations

import errno
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from textus import storage, temporary
from textus.errors import ArtefactError, CheckpointError, ResourceError

KIND = "thing"
NO_SWAP = "temporary.exchange = lambda one, other: False"
"""What a file system without renameat2's exchange, or another system than Linux, does."""


def make(path: Path, content: str, key: str = "key", files: int = 3) -> None:
    with storage.new_directory(path) as partial:
        (partial / "sub").mkdir()
        for index in range(files):
            (partial / "sub" / f"{index}.txt").write_text(content)
        storage.seal(partial, KIND, key, {"corpus": "c"}, {"content": content})


def content(path: Path) -> str:
    """The one content that all files of a whole directory agree on."""
    found = storage.verify(path, KIND)
    texts = {(path / name).read_text() for name in found.files} | {found.facts["content"]}
    assert len(texts) == 1
    assert len(found.files) == 3
    return texts.pop()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


PRELUDE = f"""
import os, pathlib, random, resource, signal, sys, time
from pathlib import Path
from textus import storage, temporary
from textus.errors import ResourceError
KIND = {KIND!r}
{inspect.getsource(make)}
{inspect.getsource(content)}
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a real process that can `make` directories and read their `content`."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def dead_process() -> int:
    """The number of a process that has been."""
    done = child("pass")
    done.communicate()
    return done.pid


def left_by(process: int, path: Path, state: str) -> Path:
    mine = temporary.beside(path, "partial").name.replace(".partial-", f".{state}-")
    return path.with_name(mine.removesuffix(str(os.getpid())) + str(process))


class TestNewDirectory:
    def test_takes_its_place_and_replaces_what_was_there(self, tmp_path: Path) -> None:
        place = tmp_path / "deep" / "place"
        for text in ("old", "new"):
            make(place, text)
            assert content(place) == text
            assert names(place.parent) == ["place"]

    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
    def test_vanishes_when_its_block_fails(self, tmp_path: Path, error: type[BaseException]) -> None:
        make(tmp_path / "place", "old")
        with pytest.raises(error), storage.new_directory(tmp_path / "place") as partial:
            (partial / "half").write_text("h")
            raise error
        assert content(tmp_path / "place") == "old"
        assert names(tmp_path) == ["place"]

    def test_never_replaces_what_is_not_ours(self, tmp_path: Path) -> None:
        (tmp_path / "letters").mkdir()
        (tmp_path / "letters" / "dear.txt").write_text("dear")
        with pytest.raises(ResourceError, match="files that Textus did not make") as caught:
            make(tmp_path / "letters", "new")
        assert "-o" in caught.value.hint
        assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"
        with pytest.raises(ResourceError, match=r"dear\.txt: a file stands where a directory is needed"):
            make(tmp_path / "letters" / "dear.txt", "new")
        with pytest.raises(ResourceError, match="a file stands where a directory is needed"):
            make(tmp_path / "letters" / "dear.txt" / "below", "new")
        assert names(tmp_path / "letters") == ["dear.txt"]

    def test_fills_an_empty_directory_and_follows_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "disk")
        for text in ("old", "new"):
            make(tmp_path / "link", text)
            assert (tmp_path / "link").is_symlink()
            assert content(tmp_path / "disk") == text

    def test_two_at_once_leave_one_whole(self, tmp_path: Path) -> None:
        with storage.new_directory(tmp_path / "place") as partial:
            # Another process is faster.
            done = child("make(Path(sys.argv[1]), 'b')", tmp_path / "place")
            assert done.communicate()[1] == ""
            assert content(tmp_path / "place") == "b"
            (partial / "sub").mkdir()
            for index in range(3):
                (partial / "sub" / f"{index}.txt").write_text("a")
            storage.seal(partial, KIND, "key", {}, {"content": "a"})
        assert content(tmp_path / "place") == "a"
        assert names(tmp_path) == ["place"]


class TestKill:
    """Real processes, killed with the signal that no one can catch."""

    @pytest.mark.parametrize("prelude", ["", NO_SWAP], ids=["swap", "no swap"])
    def test_a_reader_finds_the_old_or_the_new_whole(self, tmp_path: Path, prelude: str) -> None:
        place = tmp_path / "place"
        make(place, "0")
        # A worker replaces the directory again and again; the moment of its death is the random part of this test.
        code = """
            place, delays = Path(sys.argv[1]), random.Random(0)
            for life in range(1000):
                if life >= 60 and int(content(place)) > 10:
                    break
                worker = os.fork()
                if worker == 0:
                    number = int(content(place))
                    while True:
                        number += 1
                        make(place, str(number))
                time.sleep(delays.uniform(0, 0.03 + life / 2000))  # a slow disk takes more lives, and longer ones
                os.kill(worker, signal.SIGKILL)
                os.waitpid(worker, 0)
                print(content(place))
        """
        words, trouble = child(prelude + textwrap.dedent(code), place).communicate()
        seen = list(map(int, words.split()))
        assert len(seen) >= 60, trouble
        assert seen == sorted(seen)
        assert seen[-1] > 10
        storage.sweep(tmp_path)
        assert names(tmp_path) == ["place"]

    def test_between_the_two_steps_without_a_swap_the_old_one_comes_back(self, tmp_path: Path) -> None:
        make(tmp_path / "place", "old")
        code = f"""
            {NO_SWAP}
            real = Path.rename
            def rename(self, target):
                if ".partial-" in self.name and target.name == "place" and not target.exists():
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(self, target)
            pathlib.Path.rename = rename
            make(Path(sys.argv[1]), "new")
        """
        worker = child(code, tmp_path / "place")
        assert (worker.communicate()[1], worker.returncode) == ("", -signal.SIGKILL)
        assert not (tmp_path / "place").exists()
        assert content(tmp_path / "place") == "old"
        assert storage.is_fresh(tmp_path / "place", KIND, "key")
        storage.sweep(tmp_path)
        assert names(tmp_path) == ["place"]

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux swaps two names")
    def test_a_living_replacement_is_never_seen_missing(self, tmp_path: Path) -> None:
        place = tmp_path / "place"
        make(place, "-1")
        one, other = place.with_name("one"), place.with_name("other")
        one.mkdir()
        other.mkdir()
        if not temporary.exchange(one, other):
            pytest.skip("this file system cannot swap two names")
        worker = child("for number in range(10**9): make(Path(sys.argv[1]), str(number))", place)
        try:
            seen: set[str] = set()
            while len(seen) < 20:
                seen.add((place / storage.MANIFEST).read_text())
        finally:
            worker.kill()
            worker.communicate()


class TestSweep:
    def test_deletes_what_the_dead_left_and_keeps_what_the_living_do(self, tmp_path: Path) -> None:
        dead = dead_process()
        for state in ("partial", "discarded"):
            left_by(dead, tmp_path / "a-b", state).mkdir()
        left_by(dead, tmp_path / "file.json", "partial").write_text("half")
        mine = temporary.beside(tmp_path / "mine", "partial")
        mine.mkdir()
        theirs = left_by(os.getppid(), tmp_path / "theirs", "partial")
        theirs.mkdir()
        storage.sweep(tmp_path)
        assert names(tmp_path) == sorted([mine.name, theirs.name])

    def test_leaves_alone_what_only_looks_like_ours(self, tmp_path: Path) -> None:
        strangers = [
            ".partial-",
            ".partial-download",
            ".partial-x-12",
            ".discarded-notes-abc",
            ".git",
            ".replaced-a-b-c",
        ]
        for name in strangers:
            (tmp_path / name).mkdir()
        storage.sweep(tmp_path)
        storage.sweep(tmp_path / "none")
        assert names(tmp_path) == sorted(strangers)

    def test_puts_back_what_had_stepped_aside_unless_its_place_is_taken(self, tmp_path: Path) -> None:
        dead = dead_process()
        for name in ("empty", "taken"):
            make(tmp_path / name, "old")
            (tmp_path / name).rename(left_by(dead, tmp_path / name, "replaced"))
        make(tmp_path / "taken", "new")
        storage.sweep(tmp_path)
        assert (content(tmp_path / "empty"), content(tmp_path / "taken")) == ("old", "new")
        assert names(tmp_path) == ["empty", "taken"]

    def test_another_machines_work_is_kept_for_a_day(self, tmp_path: Path) -> None:
        for name, age in (("young", 3600), ("old", 90_000)):
            path = tmp_path / f".partial-{name}-000000-{dead_process()}"
            path.mkdir()
            (path / "file").write_text("")
            then = time.time() - age
            for part in (path / "file", path):
                os.utime(part, (then, then))
        storage.sweep(tmp_path)
        assert [name.split("-")[1] for name in names(tmp_path)] == ["young"]


class TestPublished:
    def publish(self, path: Path, text: str) -> None:
        with storage.published(path, KIND, "key", {"content": text}) as partial:
            (partial / "sub").mkdir()
            for index in range(3):
                (partial / "sub" / f"{index}.txt").write_text(text)

    def test_joins_what_is_there_and_seals_only_its_own(self, tmp_path: Path) -> None:
        make(tmp_path / "run" / "corpus", "c")
        for text in ("old", "new"):
            self.publish(tmp_path / "run", text)
            assert content(tmp_path / "run") == text
        assert content(tmp_path / "run" / "corpus") == "c"
        assert names(tmp_path / "run") == ["corpus", storage.MANIFEST, "sub"]

    def test_nothing_comes_of_a_block_that_fails(self, tmp_path: Path) -> None:
        self.publish(tmp_path, "old")
        with pytest.raises(ZeroDivisionError), storage.published(tmp_path, KIND, "key", {}):
            _ = 1 / 0
        assert content(tmp_path) == "old"
        assert names(tmp_path) == [storage.MANIFEST, "sub"]

    @pytest.mark.parametrize("moves", range(5))
    def test_a_reader_completes_what_a_killed_process_began(self, tmp_path: Path, moves: int) -> None:
        self.publish(tmp_path, "old")
        code = """
            real, left = Path.replace, [int(sys.argv[2])]
            def replace(self, target):
                if ".incoming" in self.parts:
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                return real(self, target)
            pathlib.Path.replace = replace
            with storage.published(Path(sys.argv[1]), KIND, "key", {"content": "new"}) as partial:
                (partial / "sub").mkdir()
                for index in range(3):
                    (partial / "sub" / f"{index}.txt").write_text("new")
        """
        worker = child(code, tmp_path, moves)
        words = worker.communicate()
        assert worker.returncode == (0 if moves == 4 else -signal.SIGKILL), words
        assert content(tmp_path) == "new"
        assert names(tmp_path) == [storage.MANIFEST, "sub"]


class TestManifest:
    def test_says_what_it_was_told(self, tmp_path: Path) -> None:
        make(tmp_path / "a", "x", key="k")
        (tmp_path / "a" / "sub" / storage.MANIFEST).write_text("a file like any other")
        sealed = storage.seal(tmp_path / "a", KIND, "k", {"corpus": "c"}, {"rate": 0.1, "counts": {"a": 1}})
        assert storage.verify(tmp_path / "a", KIND) == sealed
        assert (sealed.key, sealed.inputs, sealed.facts["rate"]) == ("k", {"corpus": "c"}, 0.1)
        assert f"sub/{storage.MANIFEST}" in sealed.files
        assert storage.is_fresh(tmp_path / "a", KIND, "k")
        assert not storage.is_fresh(tmp_path / "a", KIND, "other")
        assert not storage.is_fresh(tmp_path / "a", "other", "k")
        assert not storage.is_fresh(tmp_path / "none", KIND, "k")

    def test_equal_files_have_equal_fingerprints(self, tmp_path: Path) -> None:
        for name, text, key in (("a", "x", "1"), ("b", "x", "2"), ("c", "y", "1")):
            make(tmp_path / name, text, key)
        a, b, c = (storage.manifest(tmp_path / name, KIND).fingerprint for name in "abc")
        assert a == b != c

    def test_another_kind_and_no_directory(self, tmp_path: Path) -> None:
        make(tmp_path / "a", "x")
        with pytest.raises(CheckpointError, match="holds a thing, not a model"):
            storage.manifest(tmp_path / "a", "model", CheckpointError)
        with pytest.raises(CheckpointError, match="no such file"):
            storage.manifest(tmp_path / "none", "model", CheckpointError)
        (tmp_path / "a" / storage.MANIFEST).write_text('{"name": "an extension of a browser"}')
        with pytest.raises(ArtefactError, match="not a manifest of ours"):
            storage.manifest(tmp_path / "a", KIND)

    def test_every_damage_is_found(self, tmp_path: Path) -> None:
        draw = random.Random(0)
        make(tmp_path / "a", "0123456789" * 20)
        files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
        for _ in range(150):
            path = draw.choice(files)
            whole = path.read_bytes()
            broken = bytearray(whole)
            if draw.random() < 0.3:
                del broken[draw.randrange(len(broken)) :]
            else:
                broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
            path.write_bytes(broken)
            if path.name != storage.MANIFEST or _meaning(broken) != _meaning(whole):
                with pytest.raises(ArtefactError):
                    storage.verify(tmp_path / "a", KIND)
            path.write_bytes(whole)
        assert content(tmp_path / "a")

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        make(tmp_path / "a", "x")
        (tmp_path / "a" / "sub" / "1.txt").unlink()
        with pytest.raises(ArtefactError, match=r"1\.txt: is missing, and the manifest says 1"):
            storage.manifest(tmp_path / "a", KIND)

    def test_a_disk_that_fails_is_damage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(tmp_path / "a", "x")

        def fail(path: Path) -> str:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr("textus.fingerprint.of_file", fail)  # no disk here fails on demand
        with pytest.raises(ArtefactError, match="Input/output error"):
            storage.verify(tmp_path / "a", KIND)


def _meaning(data: bytes | bytearray) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


class TestFiles:
    def test_are_written_whole_and_read_back(self, tmp_path: Path) -> None:
        storage.write_json(tmp_path / "new" / "a.json", {"text": "é\udcff", "rate": 1e-4})
        assert json.loads((tmp_path / "new" / "a.json").read_text())["rate"] == 1e-4
        storage.write_text(tmp_path / "a.txt", "é\n\udcff")
        assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n\\udcff"
        assert names(tmp_path / "new") == ["a.json"]

    @pytest.mark.parametrize(
        ("data", "words"), [(None, "no such file"), (b'{"a": ', "damaged"), (b'"\xff"', "damaged"), (b"", "damaged")]
    )
    def test_that_are_damaged_are_named(self, tmp_path: Path, data: bytes | None, words: str) -> None:
        if data is not None:
            (tmp_path / "a.json").write_bytes(data)
        with pytest.raises(CheckpointError, match=words) as caught:
            storage.read_json(tmp_path / "a.json", CheckpointError)
        assert str(tmp_path / "a.json") in caught.value.message
        with pytest.raises(ArtefactError, match="Is a directory"):
            storage.read_json(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class TestRefusals:
    def test_a_full_disk(self, small_disk: Path) -> None:
        make(small_disk / "a", "old")
        with pytest.raises(ResourceError, match="a: no space left to write") as caught:
            make(small_disk / "a", "x" * 100_000)
        assert "free disk space" in caught.value.hint
        assert content(small_disk / "a") == "old"
        with pytest.raises(ResourceError, match=r"b\.json: no space left"):
            storage.write_json(small_disk / "b.json", "x" * 100_000)
        assert names(small_disk) == ["a"]

    def test_a_full_disk_met_by_a_library_in_rust(self, small_disk: Path) -> None:
        import torch
        from safetensors.torch import save_file

        with pytest.raises(ResourceError, match="no space left"), storage.new_directory(small_disk / "a") as partial:
            save_file({"weights": torch.zeros(100_000)}, partial / "model.safetensors")
        assert names(small_disk) == []

    def test_a_file_that_may_not_grow(self, tmp_path: Path) -> None:
        code = """
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            try:
                make(Path(sys.argv[1]), "x" * 10_000)
            except ResourceError as error:
                print(error.message)
        """
        words, trouble = child(code, tmp_path / "a").communicate()
        assert words.strip() == f"{tmp_path / 'a'}: no space left to write", trouble
        assert names(tmp_path) == []

    def test_no_permission(self) -> None:
        code = """
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                make(Path(sys.argv[1]), "x")
            except ResourceError as error:
                print(error.message)
        """
        with tempfile.TemporaryDirectory() as outside:  # pytest's own directories are closed to other users
            locked = Path(outside).resolve() / "locked"
            locked.parent.chmod(0o755)
            locked.mkdir(mode=0o555)
            words, trouble = child(code, locked / "a").communicate()
            assert words.startswith(str(locked / ".partial-a-")), trouble
            assert words.strip().endswith(": no permission")
            locked.chmod(0o755)

    def test_a_name_that_is_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(ResourceError, match="File name too long"):
            make(tmp_path / ("x" * 300), "x")

    def test_other_errors_stay_themselves(self, tmp_path: Path) -> None:
        for error in (FileNotFoundError(errno.ENOENT, "none"), ValueError("os error"), ArtefactError("ours")):
            with pytest.raises(type(error)), storage.refusals(tmp_path):
                raise error
