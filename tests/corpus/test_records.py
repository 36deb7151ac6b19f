"""JSON lines, JSON, CSV and Parquet: what is read, and what is said of what cannot be."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textus.corpus import jsonl
from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import Encoded
from textus.corpus.jsonl import json_lines, json_values
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.corpus.tables import table
from textus.errors import InputError

DEFAULT = CorpusConfig()
SMALL = CorpusConfig(maximum_document_mb=0.001)
SKIP = CorpusConfig(unreadable="skip")
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=8)
ANYWHERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)


def documents(path, content, config=DEFAULT, log=None):
    if isinstance(content, str):
        content = content.encode()
    if content is not None:
        path.write_bytes(content)
    return list(read([path], config, log=log))


def texts(path, content, config=DEFAULT):
    return [document.text for document in documents(path, content, config)]


def refusal(path, content, config=DEFAULT):
    with pytest.raises(InputError) as caught:
        documents(path, content, config)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


@ANYWHERE
@given(TEXTS, st.booleans())
def test_json_in_all_its_shapes(tmp_path, wanted, ascii_only):
    rows = [{"text": text, "n": [1, {"text": "inner"}]} for text in wanted]
    lines = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    assert texts(tmp_path / "a.jsonl", lines) == wanted
    assert texts(tmp_path / "a.json", lines) == wanted
    assert texts(tmp_path / "a.json", json.dumps(rows, indent=1, ensure_ascii=ascii_only)) == wanted
    assert texts(tmp_path / "a.json", json.dumps(rows[0])) == wanted[:1]
    assert texts(tmp_path / "a.json", json.dumps(wanted)) == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
ODD = [b'{"text": "\\ud800"}', b'{"text": "a", "a": 1e999}', b'{"text": "a", "a": -0}', b'{"text": "a", "text": "b"}']
ODD += [
    b"[" * 5000 + b"]" * 5000,
    b'{"text": "\xff"}',
    b'{"text": "a", "n": 123456789012345678901234567890}',
    b"\xef\xbb\xbf{}",
]
ODD += [
    b'{"text": "a\tb"}',
    b'{"text": "a"} x',
    b"nul",
    b" ",
    b"\x0c",
    b'{"text": "a", "n": NaN}',
    b'{"text":"\\u0000"}',
]


@pytest.mark.skipif(jsonl.orjson is None, reason="orjson is not installed")
@settings(ANYWHERE, max_examples=30)
@given(st.lists(st.dictionaries(st.sampled_from(["text", "source", "n", "m"]), JSON).map(json.dumps).map(str.encode)))
def test_orjson_reads_as_json_does(tmp_path, lines):
    def read_with(quick):
        log = ReadLog(stop=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsonl, "_quick", quick)
            source = Encoded([b"\n".join([*lines, *ODD])], "auto", "a.jsonl", log)
            found = list(json_lines(InputFile("a.jsonl", "a.jsonl"), source, SKIP, log))
        return repr(found), log

    assert read_with(jsonl.orjson.loads) == read_with(jsonl._json_of_utf8)


@ANYWHERE
@given(TEXTS, st.sampled_from(",;\t|"))
def test_csv_is_what_the_csv_module_writes(tmp_path, wanted, delimiter):
    wanted = [text.replace("\r", "") for text in wanted]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["id", "text"], *([number, text] for number, text in enumerate(wanted))])
    assert texts(tmp_path / "a.csv", out.getvalue()) == wanted


@ANYWHERE
@given(TEXTS, st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]))
def test_parquet_of_any_string_type(tmp_path, wanted, kind):
    table = pa.table({"text": pa.array(wanted).cast(kind), "n": list(range(len(wanted)))})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    found = documents(tmp_path / "a.parquet", None)
    assert [document.text for document in found] == wanted
    assert [document.meta for document in found] == [{"n": number} for number in range(len(wanted))]


def test_source_and_small_facts_are_kept(tmp_path):
    line = {"text": "a", "source": "letters", "year": 1815, "long": "x" * 1000, "list": [1], "none": None, "ok": True}
    (document,) = documents(tmp_path / "a.jsonl", json.dumps(line))
    assert (document.source, document.meta) == ("letters", {"year": 1815, "ok": True})
    (document,) = documents(tmp_path / "a.jsonl", '{"text": "a", "source": 7}')
    assert document.source == "a.jsonl"


def test_null_is_an_empty_text(tmp_path):
    assert texts(tmp_path / "a.jsonl", '{"text": null}\n{"text": "b"}\n\n') == ["", "b"]


def test_another_column_can_be_named(tmp_path):
    assert texts(tmp_path / "a.csv", "body,text\nyes,no\n", CorpusConfig(text_column="body")) == ["yes"]


def test_a_missing_column_lists_those_there(tmp_path):
    assert ":2: no column `text`; there is txt, id" in refusal(tmp_path / "a.jsonl", '{"text":"a"}\n{"txt":"b","id":1}')
    assert "no column `text`; there is a, b" in refusal(tmp_path / "a.csv", "a,b\n1,2\n")
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "a.parquet")
    assert "no column `text`; there is content" in refusal(tmp_path / "a.parquet", None)
    with pytest.raises(InputError) as caught:
        documents(tmp_path / "b.jsonl", '{"texts": "a"}')
    assert "corpus.text_column=texts" in caught.value.hint


@pytest.mark.parametrize(("value", "name"), [("3", "a number"), ("true", "true or false"), ('["a"]', "a list")])
def test_what_is_no_string_is_refused(tmp_path, value, name):
    assert f":1: `text` is {name}, not a string" in refusal(tmp_path / "a.jsonl", f'{{"text": {value}}}')


def test_a_parquet_column_of_numbers_is_refused(tmp_path):
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    assert "column `text` holds int64, not text" in refusal(tmp_path / "a.parquet", None)


def test_conversations_are_sent_elsewhere(tmp_path):
    with pytest.raises(InputError, match="conversation") as caught:
        documents(tmp_path / "a.jsonl", '{"messages": [{"role": "user", "content": "hi"}]}')
    assert "instruct" in caught.value.hint


def test_a_damaged_line_has_its_number(tmp_path):
    content = '{"text": "a"}\n{"text": "b\n{"text": "c"}\n'
    assert "a.jsonl:2: not valid JSON" in refusal(tmp_path / "a.jsonl", content)
    log = ReadLog(stop=False)
    found = documents(tmp_path / "a.jsonl", content, SKIP, log)
    assert [document.text for document in found] == ["a", "c"]
    assert log.unreadable == {"records": 1}
    assert "a.jsonl:2" in log.named[0]


@pytest.mark.parametrize("content", ['[{"text": "a"}, {"text": ', '[{"text": "a"}', '[{"text": "a"} {"te}]', "[nul]"])
def test_damaged_json_is_refused(tmp_path, content):
    assert "not valid JSON" in refusal(tmp_path / "a.json", content)


def test_deep_nesting_is_refused(tmp_path):
    assert "not valid JSON" in refusal(tmp_path / "a.jsonl", "[" * 100_000)


def test_a_ragged_row_is_refused(tmp_path):
    assert "row 3: expected 2 columns, got 3" in refusal(tmp_path / "a.csv", "id,text\n1,a\n2,b,c\n")


@ANYWHERE
@given(st.lists(st.tuples(st.text('ab"\n,', max_size=6), st.text('a"\n', max_size=6)), min_size=1), st.integers(1, 9))
def test_csv_rows_are_whole_in_any_blocks(tmp_path, rows, size):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("text", "b"), *rows])
    content = out.getvalue()
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    found = table(InputFile(tmp_path / "a.csv", "a.csv"), blocks, DEFAULT, ReadLog())
    assert [document.text for document in found] == [row[0] for row in rows]


def test_a_header_alone_is_nothing(tmp_path):
    with pytest.raises(InputError, match="nothing to read"):
        documents(tmp_path / "a.csv", "id,text\n")


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
def test_a_record_beyond_the_limit_is_refused_in_bounded_memory(tmp_path, ending):
    class Endless:
        """A file of one line without end; reading more than a few blocks of it would fail."""

        used = 0

        def blocks(self, size):
            yield {"jsonl": b'{"text": "', "json": b'[{"text": "', "csv": b'text\n"'}[ending]
            while True:
                self.used += 1
                assert self.used < 20
                yield b"x" * 100

    path = tmp_path / f"long.{ending}"
    format_of = {"jsonl": json_lines, "json": json_values, "csv": table}[ending]
    source = Encoded(Endless().blocks(0), "auto", path, ReadLog())
    blocks = source if ending == "jsonl" else source.text()
    with pytest.raises(InputError, match=r"longer than 0\.001 MB"):
        list(format_of(InputFile(path, path.name), blocks, SMALL, ReadLog()))


def test_a_parquet_cell_beyond_the_limit_is_refused(tmp_path):
    pq.write_table(pa.table({"text": ["ok", "é" * 501]}), tmp_path / "a.parquet")
    assert "row 2: longer than 0.001 MB" in refusal(tmp_path / "a.parquet", None, SMALL)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.999])
def test_a_truncated_parquet_file_is_refused(tmp_path, share):
    pq.write_table(pa.table({"text": ["some words"] * 1000}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    assert "damaged or incomplete" in refusal(tmp_path / "a.parquet", data[: int(len(data) * share)])


def test_packed_parquet_is_refused(tmp_path):
    assert "Parquet inside .gz" in refusal(tmp_path / "a.parquet.gz", b"x")
