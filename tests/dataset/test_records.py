import gzip

import pytest

from textus.dataset.records import files, read, some
from textus.errors import CorpusError, InputError

ROWS = [{"text": "a", "label": "x"}, {"text": 'b, "c"', "label": "y"}]
WRITTEN = {
    "a.jsonl": '{"text": "a", "label": "x"}\n\n{"text": "b, \\"c\\"", "label": "y"}\n',
    "a.json": '[{"text": "a", "label": "x"}, {"text": "b, \\"c\\"", "label": "y"}]',
    "a.csv": 'text,label\na,x\n"b, ""c""",y\n',
    "a.tsv": '\ufefftext\tlabel\na\tx\nb, "c"\ty\n',
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_gives_the_same_records(tmp_path, name):
    (tmp_path / name).write_text(WRITTEN[name], "utf-8")
    assert [record.values for record in read(tmp_path / name)] == ROWS
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(WRITTEN[name].encode()))
    assert [record.values for record in read(tmp_path / f"{name}.gz")] == ROWS


def test_a_record_knows_its_line(tmp_path):
    (tmp_path / "a.jsonl").write_text(WRITTEN["a.jsonl"])
    first, second = read(tmp_path / "a.jsonl")
    assert (first.place, second.place) == (f"{tmp_path}/a.jsonl:1", f"{tmp_path}/a.jsonl:3")
    with pytest.raises(InputError, match=r"a.jsonl:3: no `txt`; there is `text`, `label`"):
        second.text("txt", "data.text")


BAD = {
    "a.jsonl": [("{", "a.jsonl:1: not valid JSON"), ("\n[1]", "a.jsonl:2: not a JSON object")],
    "a.json": [("7", "a.json:1: not a JSON object"), ("[1]", "record 1: not a JSON object"), ("[", "not valid JSON")],
    "a.csv": [("a,b\n1,2\n3\n", "a.csv:3: not 2 columns"), ("a,b\n1,2,3\n", "a.csv:2: not 2 columns")],
    "a.png": [("x", "a.png:1: not valid JSON")],
}


@pytest.mark.parametrize(("name", "text", "words"), [(name, *one) for name, several in BAD.items() for one in several])
def test_what_is_wrong_is_named(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as refused:
        list(read(tmp_path / name))
    assert refused.value.hint


def test_other_encodings_missing_files_and_nothing_are_told(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "\xe4"}')
    with pytest.raises(InputError, match="not UTF-8 at byte 10"):
        list(read(tmp_path / "a.jsonl"))
    with pytest.raises(InputError, match="no such file"):
        list(read(tmp_path / "b.jsonl"))
    with pytest.raises(CorpusError, match="no example in it"):
        some([], [tmp_path])


def test_folders_give_their_files_and_empty_ones_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no file of examples in it"):
        files(tmp_path / "in", (".csv",))
    for name in ("b.csv.gz", "a.csv", "c.txt"):
        (tmp_path / "in" / name).write_text("")
    assert [path.name for path in files(tmp_path / "in", (".csv",))] == ["a.csv", "b.csv.gz"]
    assert files(tmp_path / "in/c.txt", (".csv",)) == [tmp_path / "in/c.txt"]
