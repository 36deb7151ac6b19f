"""What people label is read alike wherever it is asked for, and what is wrong is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textus.dataset.labelled_texts import (
    Columns,
    LabelledText,
    TaggedText,
    texts_or_words,
    texts_with_labels,
    words_with_tags,
)
from textus.errors import InputError

DATA = Path(__file__).parents[2] / "../shared/data"
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
PLAIN = Columns()
CONLLU = """# text = Don't weave.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tweave\tweave\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tunwritten\t_\tX\tX\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
"""
CONLL = "-DOCSTART- -X- O\n\nWool NN B-thing\nis VB O\n\nRed\tJJ\tO\r\n"


def written(folder: Path, *lines: Any, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WORDS, st.integers() | WORDS), min_size=1), st.booleans())
def test_what_is_written_is_read(tmp_path: Path, rows: list[tuple[str, Any]], with_pairs: bool) -> None:
    keys = ("premise", "hypothesis") if with_pairs else ("text",)
    path = written(tmp_path, *({**dict.fromkeys(keys, text), "label": label, "id": 1} for text, label in rows))
    assert list(texts_or_words(path, PLAIN)) == [
        LabelledText(f"{path}:{number}", text, text if with_pairs else None, (str(label).strip(),))
        for number, (text, label) in enumerate(rows, 1)
    ]


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_keep_their_tags(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    words, tags = (list(row) for row in zip(*pairs, strict=True))
    other = ["X"] * len(tags)
    path = written(tmp_path, {"tokens": words, "upos": tags, "xpos": other})
    assert list(texts_or_words(path, PLAIN)) == [TaggedText(f"{path}:1", tuple(words), tuple(tags))]
    (named,) = words_with_tags(path, Columns(tags="xpos"))
    assert named.labels == named.tags == tuple(other)


@pytest.mark.parametrize(
    ("row", "columns", "wanted"),
    [
        ({"sentence1": "x", "sentence2": "y"}, PLAIN, ("x", "y")),
        ({"question1": "x", "question2": "y"}, PLAIN, ("x", "y")),
        ({"text": "x", "pair": "y"}, PLAIN, ("x", "y")),
        ({"text": "x", "premise": "y", "hypothesis": "z"}, PLAIN, ("x", None)),
        ({"text": "x", "pair": "y"}, Columns(text="text"), ("x", None)),
        ({"a": "x", "b": "y"}, Columns(text="a", pair="b"), ("x", "y")),
        ({"a": "x", "b": "y"}, Columns(text="a"), ("x", None)),
        ({"text": "x", "b": "y"}, Columns(pair="b"), ("x", "y")),
    ],
)
def test_columns_are_found_or_named(tmp_path: Path, row: dict[str, str], columns: Columns, wanted: Any) -> None:
    (one,) = texts_with_labels(written(tmp_path, {**row, "label": 1}), columns)
    assert (one.text, one.pair) == wanted and one.labels == ("1",)


def test_tables_packed_files_and_lists_of_labels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(b'\xef\xbb\xbf{"text": "a", "label": true}\r\n\n{"text": "b", "label": 2.5}'))
    assert [(one.key, one.labels) for one in texts_or_words(path, PLAIN)] == [("a", ("true",)), ("b", ("2.5",))]
    (row,) = texts_with_labels(written(tmp_path, "sentence1,sentence2,label", "a,b, x ", name="a.csv"), PLAIN)
    assert (row.text, row.pair, row.labels) == ("a", "b", ("x",))
    (several,) = texts_with_labels(written(tmp_path, {"text": "a", "label": ["x", "y"]}), PLAIN)
    assert several.labels == ("x", "y")


def test_copies_have_one_key_whatever_their_label() -> None:
    def text(*parts: str) -> str:
        return LabelledText("", parts[0], parts[1] if parts[1:] else None, ("1",)).key

    assert text("a") == LabelledText("elsewhere", "a", None, ("0",)).key != text("a", "b")
    assert TaggedText("", ("a",), ("X",)).key == TaggedText("", ("a",), ("Y",)).key


def test_conllu_gives_the_words_that_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, CONLLU, name="a.conllu")
    first, second = words_with_tags(path, PLAIN)
    assert first.words == ("Do", "n't", "weave", ".") and first.tags == ("AUX", "PART", "VERB", "PUNCT")
    assert second.place.endswith(":9") and second.tags == ("VERB",)
    assert next(words_with_tags(path, Columns(tags="xpos"))).tags == ("VBP", "RB", "VB", ".")
    assert list(texts_or_words(path, PLAIN)) == [first, second]
    with pytest.raises(InputError, match="no tags `ner`"):
        list(words_with_tags(path, Columns(tags="ner")))


def test_a_word_a_line_is_read_as_lists_are(tmp_path: Path) -> None:
    first, second = words_with_tags(written(tmp_path, CONLL, name="a.conll"), PLAIN)
    assert (first.words, first.tags, second.tags) == (("Wool", "is"), ("B-thing", "O"), ("O",))
    (same,) = words_with_tags(written(tmp_path, {"tokens": ["Wool", "is"], "ner": ["B-thing", "O"]}), PLAIN)
    assert same.key == first.key and same.tags == first.tags


GOOD = {"text": "a", "label": 1}
BAD: dict[str, tuple[list[Any], str]] = {
    "no JSON": ([GOOD, "{"], "a.jsonl:2: not valid JSON"),
    "deep JSON": (["{" * 100_000], "a.jsonl:1: not valid JSON"),
    "no object": ([7], "a.jsonl:1: not a JSON object"),
    "no text": ([GOOD, {"txt": "b", "label": 1}], "a.jsonl:2: no `text`; there is `txt`, `label`"),
    "no label": ([GOOD, {"text": "b"}], "a.jsonl:2: no `label`; there is `text`"),
    "empty text": ([{"text": " ", "label": 1}], "a.jsonl:1: `text` is empty"),
    "other text": ([{"text": 3, "label": 1}], "a.jsonl:1: `text` is not text"),
    "half a pair": ([{"premise": "b", "label": 1}], "a.jsonl:1: no `hypothesis`; there is `premise`, `label`"),
    "a text among pairs": ([{"text": "b", "pair": "c", "label": 1}, GOOD], "a.jsonl:2: a text alone"),
    "a pair among texts": ([GOOD, {"text": "b", "pair": "c", "label": 1}], "a.jsonl:2: a pair of texts"),
    "an empty label": ([{"text": "b", "label": " "}], "a.jsonl:1: ' ' is no label"),
    "a missing label": ([{"text": "b", "label": ""}], "a.jsonl:1: a label is missing"),
    "no label at all": ([{"text": "b", "label": None}], "a.jsonl:1: no `label`"),
    "an object": ([{"text": "b", "label": {"a": 1}}], "a.jsonl:1: {'a': 1} is no label"),
    "a label twice": ([{"text": "b", "label": ["a", "a"]}], "a.jsonl:1: the same label twice"),
    "no tags": ([{"tokens": ["a"]}], "a.jsonl:1: no `tags`; there is `tokens`"),
    "other tags": ([{"tokens": ["a"], "tags": [1]}], "a.jsonl:1: `tags` is not a list of words"),
    "other words": ([{"tokens": "a", "tags": ["X"]}], "a.jsonl:1: `tokens` is not a list of words"),
    "an empty word": ([{"tokens": ["a", " "], "tags": ["X", "X"]}], "a.jsonl:1: word 2 is empty"),
    "an empty tag": ([{"tokens": ["a"], "tags": [""]}], "a.jsonl:1: tag 1 is empty"),
    "no word": ([{"tokens": [], "tags": []}], "a.jsonl:1: no word in it"),
    "too few tags": ([{"tokens": ["a", "b"], "ner": ["O"]}], "a.jsonl:1: 2 words and 1 tags"),
    "two kinds": ([GOOD, {"tokens": ["a"], "tags": ["X"]}], "a.jsonl:2: no `text`; there is `tokens`, `tags`"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_lines_are_named(tmp_path: Path, what: str) -> None:
    lines, message = BAD[what]
    with pytest.raises(InputError) as refused:
        list(texts_or_words(written(tmp_path, *lines), PLAIN))
    assert message in str(refused.value) and refused.value.hint


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.conll", "a X\nb\n", "a.conll:2: a word without a tag"),
        ("a.conllu", "1\ta\tb\n", "a.conllu:1: 3 fields, and CoNLL-U has 10"),
        ("a.doc", "a", "a file of tagged words ends in"),
    ],
)
def test_damaged_files_of_words_are_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(words_with_tags(written(tmp_path, text, name=name), PLAIN))


def test_the_hint_names_what_the_reader_can_set(tmp_path: Path) -> None:
    path = written(tmp_path, {"text": "a"})
    for columns, hint in ((PLAIN, "data.label=NAME"), (Columns(settings={"label": "--labels"}), "--labels=NAME")):
        with pytest.raises(InputError) as refused:
            list(texts_with_labels(path, columns))
        assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("classification/sst2_val", {"0", "1"}),
        ("classification/agnews_train10k", {"Business", "Sci/Tech", "Sports", "World"}),
        ("classification/glue_mrpc_valid", {"0", "1"}),
        ("classification/glue_mnli_valid", {"0", "1", "2"}),
        ("classification/glue_wsc_valid", {"0", "1"}),
        ("tagging/wnut17_ner_dev", None),
        ("tagging/ud_ewt_dev", None),
    ],
)
def test_public_sets_are_read(name: str, labels: set[str] | None) -> None:
    path = DATA / f"{name}.jsonl.zst"
    if not path.is_file():
        pytest.skip("the shared data is not here")
    found = list(texts_or_words(path, PLAIN))
    with zstandard.open(path, "rb") as packed:
        assert len(found) == packed.read().count(b"\n")
    assert labels is None or {label for one in found for label in one.labels} == labels
