from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textus.errors import InputError
from textus.evaluation.labelled import Example, Tagged, read_labelled

DATA = Path(__file__).parents[2] / "../shared/data"
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)


def written(folder: Path, *lines: Any, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WORDS, st.integers() | WORDS), min_size=1), st.booleans())
def test_what_is_written_is_read(tmp_path: Path, rows: list[tuple[str, Any]], with_pairs: bool) -> None:
    keys = ("premise", "hypothesis") if with_pairs else ("text",)
    path = written(tmp_path, *({**dict.fromkeys(keys, text), "label": label, "id": 1} for text, label in rows))
    second = [text if with_pairs else "" for text, _ in rows]
    expected = [Example(text, str(label), other) for (text, label), other in zip(rows, second, strict=True)]
    assert list(read_labelled(path)) == expected


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_keep_their_tags(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    words, tags = (list(row) for row in zip(*pairs, strict=True))
    other = ["X"] * len(tags)
    path = written(tmp_path, {"tokens": words, "upos": tags, "xpos": other})
    assert list(read_labelled(path)) == [Tagged(tuple(words), tuple(tags))]
    assert list(read_labelled(path, "xpos")) == [Tagged(tuple(words), tuple(other))]


def test_packed_files_and_blank_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(b'\xef\xbb\xbf{"text": "a", "label": true}\r\n\n{"text": "b", "label": "x"}'))
    assert [(one.text, one.label) for one in read_labelled(path) if isinstance(one, Example)] == [
        ("a", "True"),
        ("b", "x"),
    ]


def test_copies_have_one_id_whatever_their_label() -> None:
    assert Example("a", "1").id == Example("a", "0").id != Example("a", "1", "b").id
    assert Tagged(("a",), ("X",)).id == Tagged(("a",), ("Y",)).id


GOOD = {"text": "a", "label": 1}
BAD: dict[str, tuple[list[Any], str]] = {
    "empty": ([], "a.jsonl: no line in it"),
    "blank": (["", "  "], "a.jsonl: no line in it"),
    "no JSON": ([GOOD, "{"], "a.jsonl:2: not valid JSON"),
    "deep JSON": (["[" * 100_000], "a.jsonl:1: not valid JSON"),
    "a list": ([[1]], "a.jsonl:1: not a JSON object"),
    "no text": ([GOOD, {"txt": "b", "label": 1}], "a.jsonl:2: no `text`; there is label, txt"),
    "no label": ([GOOD, {"text": "b"}], "a.jsonl:2: no `label`; there is text"),
    "empty text": ([{"text": " ", "label": 1}], "a.jsonl:1: `text` is empty or no text"),
    "half a pair": ([{"premise": "b", "label": 1}], "a.jsonl:1: no `hypothesis`; there is label, premise"),
    "a broken label": ([{"text": "b", "label": 1.5}], "a.jsonl:1: `label` is no word and no whole number"),
    "no label at all": ([{"text": "b", "label": None}], "a.jsonl:1: `label` is no word"),
    "no tags": ([{"tokens": ["a"]}], "a.jsonl:1: `tags` is not there"),
    "other tags": ([{"tokens": ["a"], "tags": [1]}], "a.jsonl:1: `tags` is no list of words"),
    "an empty word": ([{"tokens": [""], "tags": ["X"]}], "a.jsonl:1: `tokens` is no list of words"),
    "too few tags": ([{"tokens": ["a", "b"], "ner": ["O"]}], "a.jsonl:1: 2 tokens and 1 `ner`"),
    "two kinds": ([GOOD, {"tokens": ["a"], "tags": ["X"]}], "a.jsonl:2: words with tags, where the lines before"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_named_with_their_line(tmp_path: Path, what: str) -> None:
    lines, message = BAD[what]
    with pytest.raises(InputError) as refused:
        list(read_labelled(written(tmp_path, *lines)))
    assert message in str(refused.value) and refused.value.hint


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_labelled(tmp_path / "none.jsonl"))
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "\xff", "label": 1}')
    with pytest.raises(InputError, match=r"a\.jsonl:1: not UTF-8"):
        list(read_labelled(tmp_path / "a.jsonl"))


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
    found = list(read_labelled(path))
    with zstandard.open(path, "rb") as packed:
        assert len(found) == packed.read().count(b"\n")
    assert labels is None or {label for one in found for label in one.labels} == labels
