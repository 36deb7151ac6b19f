"""URLs, through the file systems of fsspec that need no network."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.inputs import Part, list_parts
from textus.corpus.log import ReadLog
from textus.corpus.read import read, read_part
from textus.errors import InputError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs.clear()
    system.pipe({
        "/data/a.txt": b"first\n",
        "/data/b/c.jsonl": b'{"text": "second"}\n' * 50,
        "/data/.hidden": b"x",
        "/data/README.md": b"about",
        "/data/x.png": b"x",
    })  # fmt: skip
    yield system
    system.store.clear()


def test_folders_and_files_behind_urls_are_read(memory):
    log = ReadLog()
    found = list(read(["memory://data"], CorpusConfig(), log=log))
    assert [document.text for document in found] == ["first\n"] + ["second"] * 50
    assert {document.source for document in found} == {"a.txt", "b/c.jsonl"}
    assert log.skipped == {"hidden": 1, "about the data, and not data": 1, "binary (.png)": 1}
    assert [document.text for document in read(["memory://data/README.md"], CorpusConfig())] == ["about"]


def test_they_are_divided_and_change_as_local_files_do(memory):
    parts = list_parts(["memory://data/b/c.jsonl"], CorpusConfig(), ReadLog(), 100)
    assert len(parts) == 10
    again = [Part(**json.loads(json.dumps(part.as_dict()))) for part in parts]
    assert len([document for part in again for document in read_part(part, CorpusConfig(), ReadLog())]) == 50
    memory.pipe("/data/b/c.jsonl", b'{"text": "other"}\n')
    with pytest.raises(InputError, match="has changed since it was listed"):
        list(read_part(parts[0], CorpusConfig(), ReadLog()))


def test_urls_of_files_and_paths_can_be_mixed(tmp_path, memory):
    pq.write_table(pa.table({"text": ["third"]}), tmp_path / "a.parquet")
    (tmp_path / "b.txt").write_text("zeroth")
    url = (tmp_path / "a.parquet").as_uri()
    found = [document.text for document in read([url, tmp_path / "b.txt", "memory://data/a.txt"], CorpusConfig())]
    assert found == ["zeroth", "third", "first\n"]


@pytest.mark.parametrize("url", ["memory://data/none.txt", "memory://none", "file:///no/such/folder"])
def test_what_is_missing_is_named(memory, url):
    with pytest.raises(InputError, match=url) as caught:
        list(read([url], CorpusConfig()))
    assert caught.value.hint


def test_a_kind_that_nothing_reads_is_named():
    with pytest.raises(InputError, match="klingon://x: Protocol not known: klingon") as caught:
        list(read(["klingon://x"], CorpusConfig()))
    assert caught.value.hint


def test_without_fsspec_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match="needs fsspec") as caught:
        list(read(["memory://data"], CorpusConfig()))
    assert "textus[remote]" in caught.value.hint


def test_a_network_that_fails_gives_one_sentence(monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    def fail(*_, **__):
        raise ConnectionError("Name or service not known\nand a long trace")

    monkeypatch.setattr(MemoryFileSystem, "isdir", fail)
    with pytest.raises(InputError, match="cannot be reached: Name or service not known") as caught:
        list(read(["memory://data"], CorpusConfig()))
    assert "\n" not in caught.value.message
