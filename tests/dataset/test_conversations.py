"""Conversations and pairs in the shapes in which people have them, and what is said of those that are none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from textus.dataset.conversations import conversation, conversations
from textus.dataset.preferences import preference
from textus.dataset.records import Record, files, read
from textus.errors import InputError

HI = {"role": "user", "content": "Hi"}
HELLO = {"role": "assistant", "content": "Hello."}
KIND = {"role": "system", "content": "Be kind."}


def turns(**values: Any) -> list[dict[str, str]]:
    return list(conversation(Record("x:1", values)).messages)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"messages": [HI, HELLO]}, [HI, HELLO]),
        ({"messages": [HI, HELLO], "system": "Be kind."}, [KIND, HI, HELLO]),
        ({"messages": [{"role": "developer", "content": "Be kind."}, HI, HELLO]}, [KIND, HI, HELLO]),
        ({"messages": [{**HI, "content": [{"type": "text", "text": "Hi"}]}, HELLO]}, [HI, HELLO]),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]}, [HI, HELLO]),
        ({"instruction": "Hi", "output": "Hello.", "input": "", "system": ""}, [HI, HELLO]),
        ({"instruction": "Add", "input": "1, 2", "output": "3"},
         [{**HI, "content": "Add\n\n1, 2"}, {**HELLO, "content": "3"}]),
        ({"prompt": "Hi", "completion": "Hello.", "system": "Be kind."}, [KIND, HI, HELLO]),
        ({"question": "Hi", "answer": "Hello."}, [HI, HELLO]),
    ],
)  # fmt: skip
def test_shapes(values: dict[str, Any], wanted: list[dict[str, str]]) -> None:
    assert turns(**values) == wanted


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"messages": [HI, HI, HELLO]}, r"x:1: message 2 is of `user`, and follows one of `user`"),
        ({"messages": [HELLO]}, r"message 1 is of `assistant`, and is the first"),
        ({"messages": [HI, HELLO, KIND]}, r"message 3 is of `system`, and follows one of `assistant`"),
        ({"messages": [HI, {**HELLO, "content": " \n"}]}, r"message 2, of `assistant`, is empty"),
        ({"messages": [HI]}, "nobody answers"),
        ({"messages": []}, "nobody answers"),
        ({"messages": [HI, "Hello."]}, "message 2 is no JSON object"),
        ({"messages": [HI, {"role": "robot", "content": "x"}]}, "message 2 is of 'robot'"),
        ({"messages": [HI, {"role": "assistant", "content": None}]}, "message 2 has no text"),
        ({"messages": [HI, {"role": "assistant", "content": [{"type": "image"}]}]}, "message 2 has no text"),
        ({"text": "Hi"}, "no conversation: its keys are text"),
        ({}, "its keys are none"),
    ],
)
def test_what_is_no_conversation(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        turns(**values)


PAIR = {"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"}


@pytest.mark.parametrize(
    "values",
    [
        PAIR,
        {**PAIR, "prompt": [HI], "chosen": [HELLO], "rejected": [{**HELLO, "content": "What?"}]},
        {"messages": [HI], "chosen": HELLO, "rejected": {**HELLO, "content": "What?"}},
        {"chosen": [HI, HELLO], "rejected": [HI, {**HELLO, "content": "What?"}]},
        {"prompt": "Hi", "chosen": [HI, HELLO], "rejected": [HI, {**HELLO, "content": "What?"}]},
        {"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello."},
         "rejected": {"from": "gpt", "value": "What?"}},
    ],
)  # fmt: skip
def test_shapes_of_pairs(values: dict[str, Any]) -> None:
    found = preference(Record("x:1", values))
    assert (list(found.prompt), found.chosen, found.rejected) == ([HI], "Hello.", "What?")
    assert found.conversation(found.chosen) == [HI, HELLO]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({**PAIR, "rejected": "Hello."}, "`chosen` is equal to `rejected`"),
        ({**PAIR, "chosen": ""}, "`chosen`: message 2, of `assistant`, is empty"),
        ({"prompt": "Hi", "chosen": "Hello."}, "no pair: its keys are prompt, chosen"),
        ({**PAIR, "chosen": 3}, "a int where a text or messages belong"),
        ({**PAIR, "chosen": [HELLO, HI]}, "no single answer to the prompt: it has 2 messages"),
        ({"chosen": [HI, HELLO], "rejected": [KIND, HI, HELLO]}, "no single answer"),
        ({**PAIR, "prompt": [HI, HELLO]}, "message 3 is of `assistant`, and follows one of `assistant`"),
    ],
)
def test_what_is_no_pair(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        preference(Record("x:1", values))


def test_lines_lists_folders_and_packed_files_hold_the_same(tmp_path: Path) -> None:
    record = {"messages": [HI, HELLO]}
    line = json.dumps(record)
    (tmp_path / "a.jsonl").write_text(f"\ufeff{line}\n\n{line}", "utf-8")
    (tmp_path / "b.json").write_text(json.dumps([record, record], indent=1))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(f"{line}\r\n{line}\r\n".encode()))
    (tmp_path / "notes.txt").write_text("no record")
    found = list(conversations(tmp_path))
    assert [one.messages for one in found] == 6 * [(HI, HELLO)]
    assert len({one.id for one in found}) == 1
    assert [one.place.partition("/a.jsonl")[2] for one in found[:2]] == [":1", ":3"]
    assert found[3].place.endswith("b.json: record 2")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1}\n{"a": \n', "f.jsonl:2: not valid JSON"),
        (b'{"a": 1}\n[1]\n', "f.jsonl:2: not a JSON object"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "f.jsonl:2: not UTF-8 at byte 7"),
        (b"[1, 2]", "f.jsonl: record 1: not a JSON object"),
        (b"[1,\n2", "not valid JSON"),
    ],
)
def test_the_line_that_is_wrong_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        list(read(path))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        files(tmp_path / "none")
    with pytest.raises(InputError, match="no file of examples in it"):
        files(tmp_path)
