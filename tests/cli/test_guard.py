"""A guard before and behind a model, and a watermark, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textus.cli.main import main

RULES = """
[blocklist.plots]
words = ["gunpowder"]
input = "block"
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    (tmp_path / "p.toml").write_text(RULES)
    return str(tmp_path / "p.toml")


def told(capsys: pytest.CaptureFixture[str], *words: Any) -> Any:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_blocked_is_not_begun(
    trained: Path, rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, log = trained / "runs" / "first", tmp_path / "log"
    found = told(capsys, "generate", run, "Some gunpowder", "-n", 2, "--policy", rules, "--audit", log)
    assert [one["finish_reason"] for one in found["completions"]] == ["content_filter"] * 2
    assert all(one["text"] == "" and not one["tokens"] for one in found["completions"])
    assert main(["generate", str(run), "Some gunpowder", "--policy", rules]) == 0
    captured = capsys.readouterr()
    assert "stopped: the guard does not let the prompt pass: blocklist/plots" in captured.err
    assert told(capsys, "audit", "verify", log)["records"] == 1
    assert main(["generate", str(run), "x", "--audit", str(log)]) == 2


def test_a_file_of_prompts_is_guarded_and_gone_on_with(
    trained: Path, rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = trained / "runs" / "first", tmp_path / "out.jsonl"
    prompts = ["gunpowder", "Once", "more gunpowder", "The loom", "gunpowder again"]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"prompt": prompt}) for prompt in prompts))
    words = ("generate", run, "--prompts", tmp_path / "in.jsonl", "-o", out, "-n", 2, "--max-tokens", 6)
    told(capsys, *words, "--policy", rules)
    lines = out.read_text().splitlines()
    reasons = [{one["finish_reason"] for one in json.loads(line)["completions"]} for line in lines]
    assert [reason == {"content_filter"} for reason in reasons] == [True, False, True, False, True]
    told(
        capsys, "generate", run, "--prompts", tmp_path / "in.jsonl", "-o", tmp_path / "bare", "-n", 2, "--max-tokens", 6
    )
    bare = [json.loads(line)["completions"] for line in (tmp_path / "bare").read_text().splitlines()]
    assert json.loads(lines[1])["completions"] == bare[1] and json.loads(lines[3])["completions"] == bare[3]
    out.write_text("\n".join(lines[:2]) + "\n")
    assert told(capsys, *words, "--policy", rules)["done_before"] == 2
    assert out.read_text().splitlines() == lines
    # behind another guard these would be other texts
    assert main([*map(str, words)]) == 2


def test_a_conversation_goes_on_without_what_was_blocked(
    trained: Path, rules: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("Some gunpowder\nHello\n"))
    words = ("chat", str(trained / "runs" / "first"), "--policy", rules, "--max-tokens", "3", "--json")
    assert main([*words]) == 0
    captured = capsys.readouterr()
    assert "(stopped: the guard does not let the prompt pass" in captured.err
    said = json.loads(captured.out)["messages"]
    assert [one["role"] for one in said] == ["user", "assistant"] and said[0]["content"] == "Hello"


def test_a_mark_is_told_by_its_key(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained / "runs" / "first"
    for name in ("a", "b"):
        (tmp_path / name).write_text(name * 32)
    words = ("--max-tokens", 100, "--temperature", 1, "--top-k", "off", "--top-p", 1)
    (found,) = told(capsys, "generate", run, "Once", "--watermark", tmp_path / "a", *words)["completions"]
    (right,) = told(capsys, "watermark", "detect", run, found["text"], "--key", tmp_path / "a")["marks"]
    (wrong,) = told(capsys, "watermark", "detect", run, found["text"], "--key", tmp_path / "b")["marks"]
    # other tokens spell the text in part, which weakens the mark
    assert right["p_value"] < 1e-2 and wrong["p_value"] > 1e-2
    assert main(["watermark", "detect", str(run), "x", "--key", str(tmp_path / "none")]) == 2
