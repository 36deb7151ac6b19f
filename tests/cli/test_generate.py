"""`textus generate` and `textus chat` as they are typed: what they print, and what they refuse in one sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from textus.tokenizer.tokenizer import END

PROMPT = "The statement"


def refused(cli: Any, words: str, *arguments: str | Path) -> str:
    return str(cli("generate", *arguments).refused(words).err)


def test_the_stream_is_the_text(cli: Any, run: Path) -> None:
    streamed = cli("generate", run, PROMPT, "--seed", "3").done().out
    (completion,) = cli("generate", run, PROMPT, "--seed", "3", "--json").done().json["completions"]
    assert streamed == f"{PROMPT}{completion['text']}\n"
    assert "\ufffd" not in streamed.rstrip("\n\ufffd")  # it may end inside a character


def test_order_and_values_are_printed(cli: Any, run: Path) -> None:
    words = (
        "--order",
        "llamacpp",
        "--temperature",
        "0.7",
        "--top-k",
        "9",
        "--min-p",
        "0.02",
        "--frequency-penalty",
        "1",
    )
    found = cli("generate", run, PROMPT, *words, "--logprobs", "processed", "--alternatives", "2", "--json").done().json
    assert found["order"] == "llamacpp"
    assert [step.partition("(")[0] for step in found["sampling"]] == [
        *("FrequencyPenalty", "TopK", "TopP", "MinP", "Temperature", "Sample")
    ]
    (completion,) = found["completions"]
    assert completion["logprobs_mode"] == found["logprobs"] == "processed"
    assert all(1 <= len(place) <= 2 for place in completion["alternatives"])
    for logprob, place in zip(completion["logprobs"], completion["alternatives"], strict=True):
        assert logprob <= place[0][1] + 1e-6


def test_a_prompt_comes_from_a_word_a_file_or_stdin(cli: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("prompt.txt").write_text(PROMPT)
    monkeypatch.setattr("sys.stdin", io.StringIO(PROMPT))
    outputs = {
        cli("generate", run, *words).done().out for words in ((PROMPT,), ("--prompt-file", "prompt.txt"), ("-",))
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((PROMPT, "--top-p", "0"), r"`top_p` must be a number in \(0, 1\]; got 0"),
        ((PROMPT, "--top-p", "1.5"), r"`top_p` must be a number in \(0, 1\]"),
        ((PROMPT, "--temperature", "-1"), "`temperature` must be a number at least 0"),
        ((PROMPT, "--temperature", "nan"), "`temperature` must be a number at least 0"),
        ((PROMPT, "--stop-token", "<|endoftxt|>"), "stop_tokens: .* tokens, not one"),
        ((PROMPT, "--order", "mlx"), '`order` must be "hf" or "vllm" or "llamacpp"'),
        (("",), "the prompt is empty"),
        (("word " * 200,), r"the prompt has \d+ tokens, END included; the model reads at most 64"),
        ((PROMPT, "--prompt-file", "x"), "two prompts"),
        (("--prompt-file", "x"), "x: No such file"),
        ((PROMPT, "--beams", "3", "-n", "4"), "4 texts of 3 beams"),
        ((PROMPT, "--beams", "3", "--draft", "ngram"), "beams go with no draft"),
        ((PROMPT, "--draft", "nowhere"), "nowhere: no such directory"),
        ((PROMPT, "--prompts", "in.jsonl"), "--prompts stands alone"),
        ((PROMPT, "--bad-word", ""), "bad_words: one of them is empty"),
        ((PROMPT, "--logit-bias", "7"), "'7' is not TOKEN:BIAS"),
        ((PROMPT, "--examples", "shots.jsonl", "--shots", "0"), "shots.jsonl: No such file"),
    ],
    ids=str,
)
def test_bad_input_gets_one_sentence_and_a_hint(cli: Any, run: Path, words: tuple[str, ...], message: str) -> None:
    refused(cli, message, run, *words)


def test_a_long_prompt_is_cut_where_it_is_asked_to_be(cli: Any, run: Path) -> None:
    words = [f"word{number} " for number in range(100)]
    told = refused(cli, "END included", run, "".join(words))
    assert "`cut` start leaves out its first" in told and "`cut` end its last" in told
    for end in ("start", "end"):
        assert cli("generate", run, "".join(words), "--cut", end, "--max-tokens", "2").done().out


def test_the_name_of_a_special_token_in_a_prompt_is_text(cli: Any, run: Path) -> None:
    import textus

    opened = textus.load(run)
    assert opened.tokenizer.end not in opened.tokenizer.encode(f"a {END} b")
    assert cli("generate", run, f"a {END} b", "--max-tokens", "2").done().out.startswith(f"a {END} b")


def test_a_loop_says_why_it_stopped(cli: Any, run: Path) -> None:
    words = ("--greedy", "--stop-loops", "2", "--max-tokens", "60")
    found = cli("generate", run, PROMPT, *words, "--json").done().json["completions"][0]
    assert found["finish_reason"] == "loop", "so little a model repeats itself"
    assert "tokens came 2 times in a row" in found["why"]
    assert found["why"] in cli("generate", run, PROMPT, *words).done().err


def test_probabilities_are_shown_with_alternatives(cli: Any, run: Path) -> None:
    out = cli("generate", run, PROMPT, "--show-probabilities", "--max-tokens", "4", "--greedy").done().out
    text, _, table = out.partition("probability under the model itself")
    assert text.startswith(PROMPT)
    lines = table.splitlines()[1:]
    assert len(lines) == 4 and all(line.count("%") == 6 for line in lines)
    assert "\x1b" not in out, "no colours into a pipe"


def test_a_draft_changes_no_token(cli: Any, run: Path) -> None:
    outputs = {
        cli("generate", run, PROMPT, "--seed", "5", "--max-tokens", "20", *words).done().out
        for words in ((), ("--draft", "ngram"), ("--draft", str(run)))
    }
    assert len(outputs) == 1


def test_what_is_written_keeps_to_a_grammar(cli: Any, run: Path) -> None:
    pytest.importorskip("llguidance")
    schema = {
        "type": "object",
        "properties": {"a": {"type": "boolean"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    Path("schema.json").write_text(json.dumps(schema))
    Path("animal.lark").write_text('start: "fox" | "dog"')
    words = ("--json", "--max-tokens", "40")
    found = cli("generate", run, "{", "--json-schema", "schema.json", *words).done().json
    assert isinstance(json.loads(found["completions"][0]["text"])["a"], bool)
    assert found["sampling"][0].startswith("Constrained")
    (found,) = cli("generate", run, "x", "--regex", "[0-9]{3}", *words).done().json["completions"]
    assert found["text"].isdecimal() and len(found["text"]) == 3
    (found,) = cli("generate", run, "x", "--grammar", "animal.lark", *words).done().json["completions"]
    assert found["text"] in ("fox", "dog")
    refused(cli, "regex: .*unclosed", run, "x", "--regex", "[0-9")


@pytest.mark.parametrize("choice", ["fixed", "random", "nearest"])
def test_examples_stand_before_the_prompt(cli: Any, run: Path, choice: str) -> None:
    Path("shots.jsonl").write_text('{"input": "1+1", "output": "2"}\n\n{"input": "2+2", "output": "4"}\n')
    words = ("--examples", "shots.jsonl", "--shots", "2", "--choose", choice, "--template", "{input}={output}\\n")
    found = cli("generate", run, "3+3", *words, "--json").done().json
    assert sorted(found["prompt"].split("\n")[:2]) == ["1+1=2", "2+2=4"]
    assert found["prompt"].endswith("\n3+3=")
    assert "\n" not in found["completions"][0]["text"]
    Path("shots.jsonl").write_text('{"input": "1+1"}\n')
    refused(cli, "shots.jsonl:1: no `output`", run, "3+3", *words)


def test_a_file_of_prompts_is_gone_on_with(cli: Any, run: Path) -> None:
    lines = [{"prompt": f"The {word}", "id": number} for number, word in enumerate(("class", "list", "name"))]
    Path("in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("generate", run, "--prompts", "in.jsonl", "-o", "out.jsonl", "-n", "2", "--json")
    told = cli(*words).done()
    assert told.json == {"out": "out.jsonl", "done_before": 0} and "3 of 3 prompts" in told.err
    whole = Path("out.jsonl").read_bytes()
    records = [json.loads(line) for line in whole.splitlines()]
    assert [{key: record[key] for key in ("prompt", "id")} for record in records] == lines
    assert [len(record["completions"]) for record in records] == [2, 2, 2]
    alone = cli("generate", run, "The list", "-n", "2", "--json").done().json["completions"]
    for found, wanted in zip(records[1]["completions"], alone, strict=True):
        assert found.pop("logprobs") == pytest.approx(wanted.pop("logprobs"), abs=1e-4)
        assert found == wanted, "a prompt's texts do not depend on the file around it"

    first = len(whole.splitlines(keepends=True)[0])
    Path("out.jsonl").write_bytes(whole[: first + 20])  # torn in its second line
    assert cli(*words).done().json["done_before"] == 1
    assert Path("out.jsonl").read_bytes() == whole

    cli(*words, "--seed", "9").refused("out.jsonl:1: not the result of this prompt with this model")
    assert Path("out.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "in.jsonl: no line in it"),
        ("{", "in.jsonl:1: not valid JSON"),
        ('{"prompt": "a"}\n["b"]', "in.jsonl:2: not a JSON object"),
        ('{"text": "a"}', "in.jsonl:1: no `prompt`"),
        ('{"prompt": 5}', "in.jsonl:1: `prompt` is not text"),
        ('{"prompt": ""}', "in.jsonl, prompt 1: the prompt is empty"),
        ('{"prompt": "a", "completions": 1}', "it has a key `completions`"),
        (json.dumps({"prompt": "word " * 200}), "in.jsonl, prompt 1: the prompt has"),
    ],
    ids=lambda value: value[:20],
)
def test_a_bad_line_is_named_before_anything_is_written(cli: Any, run: Path, content: str, message: str) -> None:
    Path("in.jsonl").write_text(content)
    refused(cli, message, run, "--prompts", "in.jsonl", "-o", "out.jsonl")
    assert not Path("out.jsonl").exists()


def typed(cli: Any, monkeypatch: pytest.MonkeyPatch, lines: str, *words: str | Path) -> Any:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    return cli("chat", *words)


def test_a_conversation_is_kept_edited_and_answered_again(cli: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turns(lines: str, *words: str | Path) -> list[tuple[str, str]]:
        found = typed(cli, monkeypatch, lines, run, "--json", *words).done().json
        return [(turn["role"], turn["content"]) for turn in found["messages"]]

    first = turns("Hello\nAnd now?\n", "--system", "Be brief.")
    assert [role for role, _ in first] == ["system", "user", "assistant", "user", "assistant"]
    assert not any("User:" in words for _, words in first)
    again = turns("Hello\nAnd now?\n/regenerate\n", "--system", "Be brief.")
    assert again[:4] == first[:4] and again[4] != first[4]
    edited = turns("Hello\nAnd now?\n/edit 1 Bye\n")
    assert [turn[0] for turn in edited] == ["user", "assistant"] and edited[0][1] == "Bye"
    assert turns("Hello\n/edit And now?\n")[0] == ("user", "And now?")
    assert turns("Hello\n/undo\n") == []
    assert turns("Hello\n/quit\nmore\n")[0] == ("user", "Hello")
    saved = turns("Hello\n/save talk.json\n")
    assert turns("", "--load", "talk.json") == saved
    assert turns("/load talk.json\n") == saved


def test_the_answer_is_shown_and_mistakes_end_nothing(cli: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "/nonsense\n/regenerate\n/edit\n/undo\n/set temperature=-1\n/load nowhere\n/save\nHello\n/history\n/help\n"
    told = typed(cli, monkeypatch, lines, run, "--save", "kept.json").done()
    (answer,) = [turn for turn in json.loads(Path("kept.json").read_text())["messages"] if turn["role"] == "assistant"]
    assert told.out.strip() == answer["content"]
    for words in (
        *("no command `/nonsense`", "nothing to answer again", "nothing to edit", "nothing to take back"),
        *("`temperature` must be", "nowhere: no such file", "no file was named", "1 user: Hello", "/regenerate"),
    ):
        assert words in told.err


def test_a_long_conversation_forgets_its_beginning(cli: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"This is message number {number}\n" for number in range(6))
    assert "exchanges are left out" in typed(cli, monkeypatch, lines, run, "--max-tokens", "4").done().err
    told = typed(cli, monkeypatch, "word " * 300, run)
    assert "END included; the model reads at most 64" in told.done().err
