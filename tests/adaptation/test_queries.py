import json

import pytest

from textus.adaptation.config import PairData
from textus.adaptation.queries import read_queries
from textus.errors import CorpusError, InputError


def folder(tmp_path, **parts):
    rows = {
        "corpus": [{"_id": "1", "title": "Wool", "text": "is grey"}, {"_id": "2", "title": "", "text": "Linen"}],
        "queries": [{"_id": "q", "text": "grey?"}, {"_id": "unjudged", "text": "?"}],
        "qrels": [{"query-id": "q", "corpus-id": 1, "score": 2}, {"query-id": "q", "corpus-id": "2", "score": 0}],
    } | parts
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_a_folder_as_beir_lays_it_out(tmp_path):
    found = read_queries([folder(tmp_path)], PairData())
    assert found.passages == {"1": "Wool is grey", "2": "Linen"}
    (query,) = found.queries
    assert (query.text, query.relevant, query.negatives) == ("grey?", (("1", 2),), ())


def test_pairs_a_line_each(write):
    path = write(
        "a.jsonl", [{"query": "q", "positive": "p", "negatives": ["n"]}, {"query": "r", "positive": ["p", "s"]}]
    )
    found = read_queries([path], PairData())
    assert set(found.passages) == {"p", "n", "s"}
    assert [query.relevant for query in found.queries] == [(("p", 1),), (("p", 1), ("s", 1))]
    assert found.queries[0].negatives == ("n",)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"query": "q"}, "no `positive`; there is `query`"),
        ({"query": " ", "positive": "p"}, "no query in it"),
        ({"query": "q", "positive": []}, "no answer in it"),
        ({"query": "q", "positive": 3}, "`positive` is no text and no list of texts: 3"),
        ({"query": "q", "positive": "p", "negatives": [1]}, "`negatives` is no text"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write, row, words):
    with pytest.raises(InputError, match=f"a.jsonl:1: {words}"):
        read_queries([write("a.jsonl", [row])], PairData())


def test_folders_that_do_not_fit_together_are_told(tmp_path):
    folder(tmp_path, qrels=[{"query-id": "q", "corpus-id": "9"}])
    with pytest.raises(InputError, match=r"qrels.jsonl:1: no passage '9'"):
        read_queries([tmp_path], PairData())
    folder(tmp_path, qrels=[{"query-id": "q", "corpus-id": "1", "score": 0}])
    with pytest.raises(CorpusError, match="no example in it"):
        read_queries([tmp_path], PairData())
    folder(tmp_path, corpus=[{"text": "x"}])
    with pytest.raises(InputError, match=r"corpus.jsonl:1: no `_id`; there is `text`"):
        read_queries([tmp_path], PairData())
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(InputError, match="it should hold corpus, queries and qrels"):
        read_queries([tmp_path], PairData())
