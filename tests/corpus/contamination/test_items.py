"""Evaluation sets of many shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from textus.corpus.contamination.items import item_texts, read_items
from textus.errors import InputError

EVAL = Path(__file__).parents[3] / "../shared/data/eval"


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        ({"query": "Q?", "choices": ["w", "right one"], "gold": 1, "license": "MIT"}, ("Q? right one", "Q?")),
        ({"choices": ["a b", "c d"], "question": "Q?", "answer": 0, "subject": "art"}, ("Q? a b", "Q?")),
        (
            {"question": "Q?", "choices": {"text": ["x y", "z"], "label": ["A", "B"]}, "answerKey": "A"},
            ("Q? x y", "Q?"),
        ),
        ({"query": "Q?\nA. x\nAnswer:", "choices": ["A", "B"], "gold": 0}, ("Q?\nA. x\nAnswer:",)),
        ({"context_options": ["He ran", "She ran"], "continuation": "home.", "gold": 1}, ("She ran home.", "home.")),
        ({"answer": "18", "question": "How many?"}, ("How many? 18", "How many?", "18")),
        ({"question": "Q?", "passage": "P."}, ("P. Q?", "P.", "Q?")),
        ({"sentence_good": "Good.", "sentence_bad": "Bad."}, ("Good. Bad.", "Good.", "Bad.")),
        ({"endings": ["one", "two"]}, ("one two",)),
        ({"id": 1, "license": "MIT"}, ()),
        ({"gold": 7, "choices": ["a b", "c d"]}, ("a b c d",)),
        ("only text", ("only text",)),
        (7, ()),
    ],
)
def test_the_forms_of_an_item(record: Any, texts: tuple[str, ...]) -> None:
    assert item_texts(record) == texts


def test_files_of_all_kinds(tmp_path: Path) -> None:
    record = {"question": "What is it?", "answer": "A thing"}
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(f"{json.dumps(record)}\n\n".encode()))
    (tmp_path / "b.json").write_text(json.dumps([record, record]))
    (tmp_path / "c.csv").write_text("question,answer\nWhat is it?,A thing\n")
    (tmp_path / "d.txt").write_text("First.\n\nSecond.\n")
    pyarrow.parquet.write_table(pa.Table.from_pylist([record]), tmp_path / "e.parquet")
    items = read_items([tmp_path])
    assert [(item.set, item.number) for item in items] == [
        ("a", 0), ("b", 0), ("b", 1), ("c", 0), ("d", 0), ("d", 1), ("e", 0),
    ]  # fmt: skip
    assert {item.texts[0] for item in items if item.set in "abce"} == {"What is it? A thing"}


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"a": "b"}\n{"a"\n')
    with pytest.raises(InputError, match=r"bad.jsonl:2: not valid JSON"):
        read_items([tmp_path / "bad.jsonl"])
    with pytest.raises(InputError):
        read_items([tmp_path / "none.jsonl"])


@pytest.mark.skipif(not EVAL.exists(), reason="the shared data are not here")
def test_every_public_set_is_read() -> None:
    paths = sorted(EVAL.iterdir())
    items = read_items(paths)
    assert {item.set for item in items} == {path.name.removesuffix(".jsonl.zst") for path in paths}
    assert all(item.texts for item in items)
