"""Which files are found, in which order, and what is said of the others."""

import json
import os

import pyarrow as pa
import pytest

from textus.corpus import files
from textus.corpus.config import CorpusConfig
from textus.corpus.files import list_files, names
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.errors import InputError
from textus.storage import new_directory, seal


def put(root, *paths, content=b"some text\n"):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def found(root, *inputs, log=None):
    return [path.relative_to(root).as_posix() for path in list_files(inputs or [root], log)]


def test_the_kinds_are_apart():
    kinds = (files.TEXT, files.RECORDS, files.HTML, files.XML, files.WARC, files.MAIL, files.OFFICE, files.ARCHIVES)
    assert len(files.FORMATS) == sum(map(len, kinds)) + 1
    assert not files.BINARY & files.FORMATS


def test_folders_are_walked_in_order(tmp_path):
    put(tmp_path, "b.txt", "a/z.md", "a/b/c.py", "a.jsonl.gz", "README")
    assert found(tmp_path) == ["README", "a/b/c.py", "a/z.md", "a.jsonl.gz", "b.txt"]


def test_each_file_comes_once(tmp_path):
    put(tmp_path, "a/x.txt", "y.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "y.txt")
    assert found(tmp_path, tmp_path, tmp_path / "a", tmp_path / "y.txt") == ["a/x.txt", "link.txt"]


def test_links_in_a_circle_end(tmp_path):
    put(tmp_path, "a/x.txt", "b/y.txt")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    log = ReadLog()
    assert len(found(tmp_path, log=log)) == 2
    assert log.skipped["folder reached before, through a link"] >= 2


def test_what_is_left_out_is_counted(tmp_path):
    put(tmp_path, "a.txt", ".hidden", ".git/config", "photo.PNG", "paper.doc", "unknown.xyz")
    put(tmp_path, "noise", "noise.xyz", content=b"\0\1\2\3")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    log = ReadLog()
    assert found(tmp_path, log=log) == ["a.txt", "unknown.xyz"]
    assert log.skipped == {
        "hidden": 2,
        "binary (.png)": 1,
        "binary (.doc)": 1,
        "binary (no ending)": 1,
        "binary (.xyz)": 1,
        "broken link or special file": 1,
    }


def test_what_textus_wrote_is_left_out(tmp_path):
    put(tmp_path, "a.txt", "runs/first/report.html", "web/manifest.json")
    (tmp_path / "web/manifest.json").write_text(json.dumps({"name": "an app", "text": "x"}))
    with new_directory(tmp_path / "runs/first/corpus") as partial:
        (partial / "x.txt").write_text("mine")
        seal(partial, "corpus", "key", {}, {})
    log = ReadLog()
    assert found(tmp_path, log=log) == ["a.txt", "web/manifest.json"]
    assert log.skipped == {"made by textus": 1}


def test_a_named_file_is_taken_whatever_it_is(tmp_path):
    put(tmp_path, ".hidden", "x.pdf")
    assert found(tmp_path, tmp_path / "x.pdf", tmp_path / ".hidden") == [".hidden", "x.pdf"]


@pytest.mark.parametrize("missing", ["nothing.txt", "no/such/folder"])
def test_what_is_missing_is_named(tmp_path, missing):
    with pytest.raises(InputError, match=f"{missing}: no such file or folder") as caught:
        list_files([tmp_path / missing])
    assert caught.value.hint


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "l").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="leads nowhere"):
        list_files([tmp_path / "l"])


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no file to read"):
        list_files([tmp_path])
    put(tmp_path, "a.png", "b.png")
    with pytest.raises(InputError, match=r"left out: 2 binary \(.png\)"):
        list_files([tmp_path])


def test_a_special_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        list_files([tmp_path / "pipe"])


def test_names_do_not_depend_on_where_the_folder_is(tmp_path):
    for root in (tmp_path / "one", tmp_path / "two/deep"):
        put(root, "texts/a/x.txt", "texts/b/y.txt", "texts/z.txt")
    assert names(list_files([tmp_path / "one/texts"])) == ["a/x.txt", "b/y.txt", "z.txt"]
    assert names(list_files([tmp_path / "two/deep/texts"])) == ["a/x.txt", "b/y.txt", "z.txt"]
    assert names([tmp_path / "one" / ".." / "one" / "texts/z.txt"]) == ["z.txt"]
    assert names([]) == []


def save_dataset(folder, texts, stale=()):
    """Write what `datasets.Dataset.save_to_disk` does."""
    folder.mkdir(parents=True)
    for name, some in (("data-00000-of-00001.arrow", texts), ("cache-0123.arrow", stale)):
        table = pa.table({"text": pa.array(some, pa.string()), "n": list(range(len(some)))})
        with pa.ipc.new_stream(folder / name, table.schema) as writer:
            writer.write_table(table)
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_datasets_saved_to_disk_are_read_without_what_lies_beside_them(tmp_path):
    save_dataset(tmp_path / "train", ["one", "two"], stale=["old"])
    save_dataset(tmp_path / "validation", ["three"])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    log = ReadLog()
    found = list(read([tmp_path], CorpusConfig(), log=log))
    assert [(document.text, document.meta) for document in found] == [
        ("one", {"n": 0}),
        ("two", {"n": 1}),
        ("three", {"n": 0}),
    ]
    assert log.skipped == {"not data of its Hugging Face dataset": 7}
