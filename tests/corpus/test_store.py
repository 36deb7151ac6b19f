import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus import store
from textus.corpus.document import Document
from textus.corpus.store import DocumentWriter, document_files, read_documents, read_some
from textus.errors import ArtefactError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
META = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-9, 9) | TEXT, max_size=3)


@given(st.lists(st.builds(Document, TEXT, TEXT, META)))
def test_what_is_written_is_read(tmp_path_factory, documents):
    directory = tmp_path_factory.mktemp("documents")
    with DocumentWriter(directory, "train") as writer:
        for document in documents:
            writer.append(document)
    assert list(read_documents(directory, "train")) == documents
    assert writer.count == len(documents)
    assert writer.num_bytes == sum(document.num_bytes for document in documents)


def test_files_and_row_groups_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_GROUP_BYTES", 1000)
    documents = [Document(f"{number} " * 20, "x") for number in range(300)]
    with DocumentWriter(tmp_path, "train", 5000) as writer:
        for document in documents:
            writer.append(document)
    paths = document_files(tmp_path, "train")
    assert paths[0].name == "train-00000.parquet"
    assert len(paths) == -(-writer.num_bytes // 5000)
    assert list(read_documents(tmp_path, "train")) == documents
    rows = pq.ParquetFile(paths[0]).metadata
    assert max(rows.row_group(index).num_rows for index in range(rows.num_row_groups)) < 30
    assert pq.read_table(paths[0]).column_names == ["id", "text", "source", "meta"]
    some = read_some(tmp_path, "train", [299, 0, 120, 119])
    assert {number: row.document for number, row in some.items()} == {
        number: documents[number] for number in (0, 119, 120, 299)
    }
    assert read_some(tmp_path, "train", []) == {}


def test_a_lone_surrogate_is_escaped_and_counted_as_it_was(tmp_path):
    document = Document("a\ud800b 한국어", "x")
    with DocumentWriter(tmp_path, "train") as writer:
        assert writer.append(document) == document.text.encode("utf-8", "surrogatepass")
    (row,) = store.read_rows(tmp_path, "train")
    assert (row.id, row.text) == (document.id, "a\\ud800b 한국어")
    assert writer.num_bytes == document.num_bytes


def test_the_fingerprint_is_of_texts_in_order(tmp_path):
    def fingerprint(*texts):
        with DocumentWriter(tmp_path, "x") as writer:
            for text in texts:
                writer.append(Document(text, "anywhere"))
        return writer.fingerprint

    assert fingerprint("a", "b") == fingerprint("a", "b")
    assert len({fingerprint(*texts) for texts in (["a", "b"], ["b", "a"], ["ab"], [])}) == 4


def test_damage_is_named(tmp_path):
    with DocumentWriter(tmp_path, "train") as writer:
        writer.append(Document("".join(map(str, range(10_000))), "x"))
    (path,) = document_files(tmp_path, "train")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtefactError, match=r"train-00000\.parquet: damaged"):
        list(read_documents(tmp_path, "train"))
