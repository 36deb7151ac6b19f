"""Files of tasks: what is recognised, what is described, what is refused, and which examples are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from textus.decoding.fewshot import Example, choose_examples
from textus.errors import ConfigError, InputError, TextusError
from textus.evaluation.tasks.task import open_task

DATA = Path(__file__).parents[4] / "shared" / "data"
CHOICE = [{"context": f"{n} is", "choices": ["even", "odd"], "gold": n % 2} for n in range(6)]
PUBLIC: dict[str, tuple[list[dict[str, Any]], str, list[str], int]] = {
    "BLiMP": ([{"sentence_good": "A cat.", "sentence_bad": "A cats.", "UID": "x"}], "", ["A cat.", "A cats."], 0),
    "LAMBADA": ([{"text": "One, two, three"}], "One, two,", [" three"], 0),
    "HellaSwag": (
        [
            {
                "activity_label": "Washing",
                "ctx_a": "A man sits.",
                "ctx_b": "he",
                "ctx": "A man sits. he",
                "endings": ["stands up.", "is [title] a door."],
                "label": "1",
            }
        ],
        "Washing: A man sits. He",
        [" stands up.", " is.  a door.".replace("  ", " ")],
        1,
    ),
    "ARC": (
        [{"question": "Hot?", "choices": {"text": ["ice", "fire"], "label": ["A", "B"]}, "answerKey": "B"}],
        "Question: Hot?\nAnswer:",
        [" ice", " fire"],
        1,
    ),
    "PIQA": (
        [{"goal": "Dry hair", "sol1": "Use a towel.", "sol2": "Use a spoon.", "label": 0}],
        "Question: Dry hair\nAnswer:",
        [" Use a towel.", " Use a spoon."],
        0,
    ),
    "WinoGrande": (
        [{"sentence": "Ann saw Bo as _ looked up.", "option1": "Ann", "option2": "Bo", "answer": "2"}],
        "Ann saw Bo as Bo",
        [" looked up.", " looked up."],
        1,
    ),
    "COPA": (
        [{"premise": "It rained.", "choice1": "It got wet.", "choice2": "Ice.", "question": "effect", "label": 0}],
        "It rained therefore",
        [" it got wet.", " ice."],
        0,
    ),
    "BoolQ": (
        [{"passage": "Ice is cold.", "question": "is ice cold", "answer": True}],
        "Ice is cold.\nQuestion: is ice cold?\nAnswer:",
        [" no", " yes"],
        1,
    ),
    "MMLU": (
        [{"question": "1 + 1?", "choices": ["1", "2"], "answer": 1, "subject": "sums"}],
        "1 + 1?\nA. 1\nB. 2\nAnswer:",
        [" A", " B"],
        1,
    ),
    "GSM8K": (
        [{"question": "1 + 1?", "answer": "It is 2.\n#### 2"}],
        "Question: 1 + 1?\nAnswer:",
        [" 2"],
        0,
    ),
    "WikiText": ([{"page": "A page."}], "", ["A page."], 0),
    "query and choices": (
        [{"query": "Question: a?\n", "choices": ["b", "c"], "gold": 1}],
        "Question: a?\nAnswer:",
        [" b", " c"],
        1,
    ),
    "context and continuation": ([{"context": "1+1=", "continuation": "2"}], "1+1=", ["2"], 0),
    "entity tracking": ([{"input_prefix": "Box 1 holds ", "options": ["a", "b"]}], "Box 1 holds", [" a", " b"], 0),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_public_formats_are_recognised(write: Callable[..., Path], name: str) -> None:
    lines, context, continuations, gold = PUBLIC[name]
    task = open_task(write(*lines))
    (item,) = task.items()
    assert (task.format, task.count) == (name, 1)
    assert (item.right.context, [one.continuation for one in item.options]) == (context, continuations)
    assert item.gold == gold


@pytest.mark.parametrize("packed", [False, True])
def test_ours_needs_no_description(write: Callable[..., Path], packed: bool) -> None:
    path = write(*CHOICE)
    if packed:
        path = path.with_name("task.jsonl.zst")
        path.write_bytes(zstandard.ZstdCompressor().compress(path.with_name("task.jsonl").read_bytes()))
    task = open_task(path)
    assert (task.name, task.format, task.config.kind, task.count) == ("task", "ours", "choice", 6)
    assert [item.gold for item in task.items()] == [0, 1] * 3


def described(settings: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


REVIEWS = [{"text": "Good.", "label": "pos"}, {"text": "Bad.", "label": "neg"}]
SETTINGS: dict[str, Any] = {
    "kind": "choice",
    "version": 2,
    "prompt": "Review: {text}\nIt is",
    "choices": ["bad", "good"],
    "gold": "label",
    "labels": ["neg", "pos"],
}


@pytest.mark.parametrize("where", ["head", "beside", "apart"])
def test_a_description_says_how_lines_are_asked(write: Callable[..., Path], where: str) -> None:
    path = write(*([{"task": SETTINGS}] if where == "head" else []), *REVIEWS)
    if where == "beside":
        path.with_suffix(".toml").write_text(described(SETTINGS))
    elif where == "apart":
        path = path.with_name("reviews.toml")
        path.write_text(described({**SETTINGS, "items": "task.jsonl"}))
    task = open_task(path)
    assert task.name == ("reviews" if where == "apart" else "task")
    assert [item.solved for item in task.items()] == ["Review: Good.\nIt is good", "Review: Bad.\nIt is bad"]
    assert (task.config.version, task.format) == (2, "ours")


def test_a_description_may_change_a_public_format(write: Callable[..., Path]) -> None:
    lines, *_ = PUBLIC["ARC"]
    path = write({"task": {"prompt": "{context} It is", "same_answers": True}}, *lines, *lines)
    task = open_task(path)
    assert task.format == "ARC" and next(task.items()).right.context == "Hot? It is"


def test_a_folder_is_one_task_with_its_files_as_groups(write: Callable[..., Path], tmp_path: Path) -> None:
    write({"good": "a", "bad": "b"}, name="one.jsonl")
    write({"good": "c", "bad": "d"}, {"good": "e", "bad": "f", "group": "own"}, name="two.jsonl")
    task = open_task(tmp_path)
    assert task.name == tmp_path.name and [item.group for item in task.items()] == ["one", "two", "own"]


@pytest.mark.parametrize("choose", ["fixed", "random"])
@pytest.mark.parametrize("seed", [0, 3])
def test_examples_are_chosen_as_prompts_choose_them(write: Callable[..., Path], choose: Any, seed: int) -> None:
    path = write(*CHOICE)
    task = open_task(path, {"shots": 2, "choose": choose, "seed": seed, "between": " | "})
    solved = [item.solved for item in open_task(path).items()]
    wanted = choose_examples([Example(one, "x") for one in solved], "", 2, choose, seed=seed)
    assert task.shown == "".join(one.input + " | " for one in wanted)
    assert [item.solved for item in task.items()] == [one for one in solved if one not in task.shown]
    assert task.count == 4


def test_examples_may_come_from_another_file_and_show_how_it_is_worked_out(write: Callable[..., Path]) -> None:
    write({"question": "3 + 4?", "answer": "3 + 4 = 7\n#### 7"}, name="train.jsonl")
    lines, *_ = PUBLIC["GSM8K"]
    task = open_task(write(*lines), {"shots": 1, "examples": "train.jsonl"})
    assert task.shown == "Question: 3 + 4?\nAnswer: 3 + 4 = 7\n#### 7\n\n" and task.count == 1


def test_scores_can_be_told_apart_by_what_was_asked(write: Callable[..., Path]) -> None:
    path = write(*CHOICE)
    same = {open_task(path).data, open_task(path).data}
    changes: list[dict[str, Any]] = [{"shots": 1}, {"prompt": "{context} not"}, {"version": 2}]
    changed = {open_task(path, change).data for change in changes}
    other = open_task(write(*CHOICE[1:])).data
    assert len(same) == 1 and len(same | changed | {other}) == 5


def two(**changed: Any) -> dict[str, Any]:
    return {"context": "a", "choices": ["b", "c"], **changed}


LONG = "number 1 of `choices` is empty"
WRONG: dict[str, tuple[list[Any], str]] = {
    "nothing": ([], "task.jsonl: no item in it"),
    "blank lines": (["", "  ", ""], "task.jsonl: no item in it"),
    "only a description": ([{"task": {"kind": "pairs"}}], "task.jsonl: no item in it"),
    "not JSON": ([CHOICE[0], "{'context': 1}"], "task.jsonl:2: not valid JSON"),
    "no object": (["[1, 2]"], "task.jsonl:1: not a JSON object"),
    "unknown keys": ([{"sentence": "a", "label": 1}], "task.jsonl:1: no kind of task has the keys `sentence`, `label`"),
    "a key less": ([CHOICE[0], {"context": "a", "choices": ["b", "c"]}], "task.jsonl:2: no `gold`"),
    "another format": ([PUBLIC["BLiMP"][0][0], CHOICE[0]], "2: no `sentence_good`, which a line of BLiMP has"),
    "an empty choice": ([CHOICE[0], {"context": "a", "choices": ["b", " "], "gold": 0}], f"task.jsonl:2: {LONG}"),
    "one choice": ([{"context": "a", "choices": ["b"], "gold": 0}], "1 of `choices`, and 2 are needed"),
    "gold out of range": ([two(gold=2)], "`gold` is 2, and the answers are numbered 0 to 1"),
    "gold below": ([two(gold=-1)], "`gold` is -1, and the answers"),
    "gold unknown": ([two(gold="d")], "`gold` is 'd', and none of 'b', 'c'"),
    "an empty sentence": ([{"good": "", "bad": "a"}], "task.jsonl:1: `good` is empty"),
    "no text": ([{"good": 1, "bad": "a"}], "`good` is not text"),
    "one word": ([{"text": "word"}], "not as a line of LAMBADA is: `text` has one word only"),
    "the same answers": ([dict(CHOICE[0], context=str(n)) for n in range(4)], "the right answer of all 4 items is 0"),
    "the same targets": ([{"context": str(n), "target": "a"} for n in range(3)], "of all 3 items is 'a'"),
    "the same results": ([{"context": str(n), "answer": "a"} for n in range(3)], "of all 3 items is"),
    "an unknown setting": ([{"task": {"shot": 1}}, *CHOICE], "task.jsonl:1: no setting `shot`"),
    "a wrong kind": ([{"task": {"kind": "quiz"}}, *CHOICE], "task.jsonl:1: `kind` must be"),
    "a prompt of no field": ([{"task": {"prompt": "{contxt}"}}, *CHOICE], "2: no `contxt`, which the prompt shows"),
    "no expression": ([{"task": {"pattern": "("}}, *CHOICE], "`pattern` is no regular expression"),
    "too many shots": ([{"task": {"shots": 9}}, *CHOICE], "9 examples, and .* holds 6"),
    "all shown": ([{"task": {"shots": 6}}, *CHOICE], "all 6 items are shown"),
    "shots of pairs": ([{"task": {"shots": 1}}, {"good": "a", "bad": "b"}], "1 examples before a task of kind `pairs`"),
    "labels less": ([{"task": {"choices": ["a", "b"], "labels": ["x"]}}, *CHOICE], "1 `labels` for 2 `choices`"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_its_line_and_a_hint(write: Callable[..., Path], what: str) -> None:
    lines, words = WRONG[what]
    with pytest.raises(TextusError, match=words if ".*" in words else re.escape(words)) as refused:
        open_task(write(*lines))
    assert refused.value.hint and refused.value.exit_code == 2


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.jsonl: no such file"):
        open_task(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="no file of JSON lines in it"):
        open_task(tmp_path)
    (tmp_path / "a.toml").write_text('kind = "pairs"\n')
    with pytest.raises(InputError, match="does not say which file"):
        open_task(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("kind = pairs\n")
    with pytest.raises(InputError, match="not valid TOML"):
        open_task(tmp_path / "a.toml")
    (tmp_path / "cut.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(b'{"text": "a b"}\n' * 999)[:-9])
    with pytest.raises(InputError, match=r"cut.jsonl.zst: damaged or incomplete"):
        open_task(tmp_path / "cut.jsonl.zst")


def test_a_wrong_setting_of_the_command_is_a_config_error(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="`shots` must be"):
        open_task(write(*CHOICE), {"shots": -1})


SETS = {
    "eval/arc_easy.jsonl.zst": ("choice", 2375),
    "eval/bigbench_dyck_languages.jsonl.zst": ("cloze", 1000),
    "eval/blimp_format_sample.jsonl.zst": ("pairs", 134),
    "eval/commonsense_qa.jsonl.zst": ("choice", 1221),
    "eval/copa.jsonl.zst": ("choice", 100),
    "eval/gsm8k.jsonl.zst": ("generation", 1319),
    "eval/lambada_format_sample_20.jsonl.zst": ("cloze", 20),
    "eval/mmlu_dev.jsonl.zst": ("choice", 285),
    "eval/openbook_qa.jsonl.zst": ("choice", 500),
    "eval/piqa.jsonl.zst": ("choice", 1838),
    "eval/simple_arithmetic_nospaces.jsonl.zst": ("cloze", 1000),
    "eval/siqa.jsonl.zst": ("choice", 1954),
    "eval/svamp.jsonl.zst": ("generation", 300),
    "eval/winograd_wsc.jsonl.zst": ("choice", 273),
    "eval/winogrande.jsonl.zst": ("choice", 1267),
    "babylm_style/eval/supplement_fast": ("pairs", 250),
    "babylm_style/eval/entity_tracking_fast": ("choice", 3152),
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize("name", SETS)
def test_real_sets_load(name: str) -> None:
    task = open_task(DATA / name)
    assert (task.config.kind, task.count) == SETS[name]


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_a_real_classification_set_loads_with_six_lines_of_description(tmp_path: Path) -> None:
    settings = {**SETTINGS, "items": str(DATA / "classification/sst2_val.jsonl.zst"), "labels": ["0", "1"]}
    (tmp_path / "sst2.toml").write_text(described(settings))
    assert open_task(tmp_path / "sst2.toml").count == 6708
