"""Parts of files: whatever their size and number, they give the documents of the whole."""

import dataclasses
import json
import os
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textus.corpus.config import CorpusConfig
from textus.corpus.inputs import Part, list_parts
from textus.corpus.log import ReadLog
from textus.corpus.read import read, read_part
from textus.corpus.text import SEPARATOR
from textus.errors import InputError

ANYWHERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
TARGETS = st.integers(1, 200)
LINES = [SEPARATOR, SEPARATOR + " ", SEPARATOR + "\r", "one", "two words", "", f"in {SEPARATOR} line", "long " * 9]
FOREIGN = [*LINES, "déjà vu — “oui”", "Привет, как дела?", "吾輩は猫である。"]
WHOLE = 10**9


def parts_of(path, target, config, log):
    return list_parts([path], config, log, target)


def documents(path, target, config):
    """What all parts give, read one after the other, each with a log of its own as another process would have."""
    log, found = ReadLog(stop=config.unreadable == "stop"), []
    for part in parts_of(path, target, config, log):
        own = ReadLog(stop=log.stop)
        found += read_part(part, config, own)
        log.add(own)
    return found, log


def check(path, target, config):
    found, log = documents(path, target, config)
    wanted, whole = documents(path, WHOLE, config)
    assert found == wanted
    assert (log.files, log.unreadable, log.cut, log.named) == (whole.files, whole.unreadable, whole.cut, whole.named)
    assert set(log.encodings) >= set(whole.encodings)
    return found


@ANYWHERE
@given(st.lists(st.sampled_from(FOREIGN), max_size=40), TARGETS, st.sampled_from([30, 100, 10**6]), st.booleans())
def test_plain_text(tmp_path, lines, target, maximum_bytes, marked):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" * marked + "\n".join(lines).encode())
    check(path, target, CorpusConfig(maximum_document_mb=maximum_bytes / 1e6))


@settings(ANYWHERE, max_examples=12)  # each part asks charset-normalizer, which takes its time
@given(st.lists(st.sampled_from(LINES), max_size=20), st.integers(60, 300))
def test_an_old_encoding_is_that_of_the_whole_file(tmp_path, lines, target):
    path = tmp_path / "a.txt"
    # Read alone, the end would look like another encoding than the file as a whole.
    russian = "Сегодня хорошая погода в Москве, и мы идём гулять.\n" * 5
    path.write_bytes(
        ("\n".join(lines) + "\n" + russian).encode("cp1251") + f"{SEPARATOR}\n\xe9\xe8\n".encode("latin-1")
    )
    check(path, target, CorpusConfig())
    check(path, target, CorpusConfig(encoding="cp1251"))
    check(path, target, CorpusConfig(encoding="utf-8", unreadable="skip"))


@ANYWHERE
@given(
    st.lists(st.sampled_from(FOREIGN), max_size=20), TARGETS, st.sampled_from(["utf-16", "utf-16-le", "iso2022_jp_2"])
)
def test_encodings_that_cannot_be_entered_are_read_whole(tmp_path, lines, target, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes(("plain\n" + "\n".join(line for line in lines if line.isascii())).encode(encoding))
    assert len(parts_of(path, target, CorpusConfig(encoding=encoding), ReadLog())) == 1
    check(path, target, CorpusConfig(encoding=encoding))


RECORDS = [
    '{"text": "a"}',
    '{"text": "é", "n": 1}',
    "",
    "  ",
    '{"text": "long %s"}' % ("x" * 90),
    "{damaged",
    '{"no": 1}',
    "\xff",
]


@ANYWHERE
@given(st.lists(st.sampled_from(RECORDS), max_size=40), TARGETS, st.sampled_from([40, 10**6]), st.booleans())
def test_json_lines(tmp_path, lines, target, maximum_bytes, ends):
    path = tmp_path / "a.jsonl"
    path.write_bytes(("\n".join(lines) + "\n" * ends).encode("latin-1" if "\xff" in lines else "utf-8"))
    check(path, target, CorpusConfig(maximum_document_mb=maximum_bytes / 1e6, unreadable="skip"))
    check(path, target, CorpusConfig(unreadable="skip", encoding="utf-8"))


@ANYWHERE
@given(st.lists(st.text("abé", max_size=40), min_size=1, max_size=30), TARGETS, st.integers(1, 7))
def test_parquet(tmp_path, texts, target, group):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": texts, "n": list(range(len(texts)))}), path, row_group_size=group)
    assert [document.meta["n"] for document in check(path, target, CorpusConfig())] == list(range(len(texts)))


@pytest.mark.parametrize("ending", ["csv", "json", "txt.gz", "html"])
def test_what_cannot_be_divided_is_one_part(tmp_path, ending):
    import gzip

    content = {
        "csv": b"text\n" + b"row\n" * 99,
        "json": json.dumps([{"text": "x"}] * 99).encode(),
        "txt.gz": gzip.compress(os.urandom(2000).hex().encode()),
        "html": b"<p>words" * 99,
    }[ending]
    (tmp_path / f"a.{ending}").write_bytes(content)
    (part,) = parts_of(tmp_path / f"a.{ending}", 100, CorpusConfig(), ReadLog())
    assert (part.unit, part.start, part.stop, part.weight) == ("file", 0, len(content), len(content))
    assert check(tmp_path / f"a.{ending}", 100, CorpusConfig())


def test_large_files_are_divided_into_even_ranges(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"word\n" * 1000)
    parts = parts_of(tmp_path / "a.txt", 1024, CorpusConfig(), ReadLog())
    assert [(part.start, part.stop) for part in parts] == [(n * 1000, n * 1000 + 1000) for n in range(5)]
    assert sum(part.weight for part in parts) == 5000


def test_a_part_is_data_and_its_identity_does_not_depend_on_reading(tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / name).write_text("text")
    (part,) = list_parts([tmp_path], CorpusConfig(), ReadLog())
    assert part.name == "caf\\xe9.txt"
    assert Part(**json.loads(json.dumps(part.as_dict()))) == part == pickle.loads(pickle.dumps(part))
    assert [document.source for document in read_part(part, CorpusConfig(), ReadLog())] == ["caf\\xe9.txt"]
    os.utime(tmp_path / name, ns=(1, 1))
    (later,) = list_parts([tmp_path], CorpusConfig(), ReadLog())
    assert later.identity != part.identity
    assert dataclasses.replace(later, version=part.version) == part


def test_a_file_named_through_a_link_is_opened_where_it_lies(tmp_path):
    (tmp_path / "real.txt").write_text("text")
    (tmp_path / "link.txt").symlink_to("real.txt")
    (part,) = list_parts([tmp_path / "link.txt"], CorpusConfig(), ReadLog())
    assert (part.path, part.name, part.place) == (
        str(tmp_path / "link.txt"),
        "link.txt",
        str((tmp_path / "real.txt").resolve()),
    )


def test_a_log_survives_json_and_adds_up(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{damaged\n')
    (tmp_path / "b.txt").write_text("")
    log = ReadLog(stop=False)
    list(read([tmp_path], CorpusConfig(unreadable="skip"), log=log))
    again = ReadLog.from_dict(json.loads(json.dumps(log.as_dict())), stop=False)
    assert again == log
    again.add(log)
    assert again.unreadable == {"records": 2}
    assert again.named == log.named * 2


def test_a_line_is_named_by_its_number_in_the_file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' * 50 + "{damaged\n")
    parts = parts_of(path, 100, CorpusConfig(), ReadLog())
    with pytest.raises(InputError, match=r"a\.jsonl:51: not valid JSON"):
        for part in parts[-2:]:
            list(read_part(part, CorpusConfig(), ReadLog()))
