"""Files of all kinds together, and every way in which one can be bad."""

import gzip
import os

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.inputs import list_parts
from textus.corpus.log import ReadLog
from textus.corpus.read import read, read_part
from textus.errors import InputError

SKIP = CorpusConfig(unreadable="skip")


@pytest.fixture
def nobody():
    """Become a user without rights for a test, as far as that is possible here."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no users on this system")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def put(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_text_files_are_one_document_each(tmp_path):
    files = [put(tmp_path / "a.md", "# A\r\n"), put(tmp_path / "b.py", "x = 1\n")]
    assert [(d.text, d.source, d.meta) for d in read(files, CorpusConfig())] == [
        ("# A\r\n", "a.md", {}),
        ("x = 1\n", "b.py", {}),
    ]


def test_separators_make_several_documents(tmp_path):
    path = put(tmp_path / "a.txt.gz", gzip.compress(b"one\n<|endoftext|>\ntwo\n<|endoftext|>\n"))
    assert [(d.text, d.meta) for d in read([path], CorpusConfig())] == [("one\n", {}), ("two\n", {"offset": 18})]


def test_a_single_line_beyond_the_limit_is_cut(tmp_path):
    path, log = put(tmp_path / "a.txt", "word " * 2_000), ReadLog()
    found = list(read([path], CorpusConfig(maximum_document_mb=0.001), log=log))
    assert "".join(d.text for d in found) == "word " * 2_000
    assert {len(d.text) for d in found} == {1000}
    assert log.cut == 9


def test_empty_files_are_counted_and_all_empty_is_an_error(tmp_path):
    empty, full, log = put(tmp_path / "a.txt", ""), put(tmp_path / "b.txt", "b"), ReadLog()
    assert [d.text for d in read([empty, full], CorpusConfig(), log=log)] == ["b"]
    assert log.skipped == {"empty": 1}
    with pytest.raises(InputError, match=r"nothing to read; .*a\.txt: empty"):
        list(read([empty], CorpusConfig()))
    with pytest.raises(InputError, match="nothing to read"):
        list(read([put(tmp_path / "c.txt.gz", gzip.compress(b""))], CorpusConfig()))


def test_a_file_that_went_away_or_changed_is_named(tmp_path):
    path = put(tmp_path / "a.txt", "text")
    (part,) = list_parts([path], CorpusConfig(), ReadLog())
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt: no such file"):
        list(read_part(part, CorpusConfig(), ReadLog()))
    put(path, "other text")
    with pytest.raises(InputError, match=r"a\.txt: has changed since it was listed"):
        list(read_part(part, CorpusConfig(), ReadLog()))
    log = ReadLog(stop=False)
    assert list(read_part(part, SKIP, log)) == []
    assert log.unreadable == {"files": 1}


def test_a_file_without_permission_is_named(tmp_path, nobody_reads):
    with pytest.raises(InputError, match=r"secret\.txt: (no permission|Permission denied)") as caught:
        list(read([nobody_reads], CorpusConfig()))
    assert caught.value.hint


@pytest.fixture
def nobody_reads(tmp_path, request):
    path = put(tmp_path / "secret.txt", "secret")
    path.chmod(0)
    request.getfixturevalue("nobody")
    return path


def test_what_cannot_be_read_can_be_skipped_and_is_named(tmp_path):
    files = [
        put(tmp_path / "a.txt", "good"),
        put(tmp_path / "b.txt", b"\0\1\2"),
        put(tmp_path / "c.txt.gz", gzip.compress(os.urandom(100_000).hex().encode())[:70_000]),
        put(tmp_path / "d.csv", "x,y\n1,2\n"),
    ]
    log = ReadLog(stop=False)
    found = list(read(files, SKIP, log=log))
    assert [d.text for d in found] == ["good"]
    assert log.unreadable == {"files": 3}
    assert [name.partition(":")[0].rpartition("/")[2] for name in log.named] == [
        "b.txt",
        "c.txt.gz",
        "d.csv",
    ]
    with pytest.raises(InputError, match=r"b\.txt"):
        list(read(files, CorpusConfig()))


def test_progress_adds_up_to_the_bytes_on_disk(tmp_path):
    from contextlib import contextmanager

    class Listener:
        done, total = 0.0, 0.0

        @contextmanager
        def task(self, name, total, unit):
            self.total = total
            yield self

        def advance(self, amount=1):
            assert amount >= 0
            self.done += amount

        def note(self, text): ...

        def say(self, text): ...

    files = [
        put(tmp_path / "a.txt.gz", gzip.compress(b"words " * 9999)),
        put(tmp_path / "b.jsonl", '{"text":"x"}\n' * 99),
    ]
    files.append(put(tmp_path / "empty.txt", ""))
    listener = Listener()
    list(read(files, CorpusConfig(), listener))
    assert listener.done == listener.total == sum(path.stat().st_size for path in files)
