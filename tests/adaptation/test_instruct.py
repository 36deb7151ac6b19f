"""From conversations to a model that answers: whole, with an adapter, stopped and resumed, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.adaptation import lora
from textus.checkpoint import checkpoint
from textus.decoding.chat import Templated
from textus.errors import CheckpointError, ConfigError, CorpusError, InputError
from textus.model.adapter import hear
from textus.model.transformer import Transformer
from textus.tokenizer.content import TURN_END
from textus.tokenizer.template import ChatTemplate
from textus.training.run import Run
from textus.verbs.chat import form_of

FAST: dict[str, Any] = {
    "training.steps": 4,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.checkpoint_every": 2,
    "training.evaluate_every": 2,
    "training.learning_rate": 1e-2,
    "answers": 2,
    "answer_tokens": 8,
    "data.validation_fraction": 0.25,
}


def sums(count: int = 40) -> str:
    turns = [[("user", f"{n} + 1?"), ("assistant", f"{n + 1}.")] for n in range(count)]
    return "\n".join(json.dumps({"messages": [{"role": role, "content": text} for role, text in one]}) for one in turns)


@pytest.fixture(scope="module")
def place(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model and conversations, for tests that change neither."""
    folder = tmp_path_factory.mktemp("instruct")
    shutil.copytree(trained / "runs" / "first", folder / "base")
    (folder / "talk.jsonl").write_text(sums())
    before = torch.get_num_threads()
    textus.adapt(folder / "base", folder / "talk.jsonl", method="instruct", out=folder / "whole", settings=FAST)
    settings = {**FAST, "lora.rank": 4, "training.steps": 8}
    textus.adapt(folder / "base", folder / "talk.jsonl", method="instruct", out=folder / "thin", settings=settings)
    torch.set_num_threads(before)
    return folder


def scores(found: list[dict[str, Any]]) -> dict[str, float]:
    return {score["name"]: score["value"] for score in found}


def test_the_report_tells_of_before_and_after(place: Path, one_thread: None) -> None:
    found = textus.adapt(place / "base", place / "talk.jsonl", method="instruct", out=place / "whole", settings=FAST)
    told = found.as_dict()
    before, after = scores(told["before"]), scores(told["scores"])
    assert after["held_out_loss"] < before["held_out_loss"] - 0.3
    assert set(after) == {"held_out_loss", "end_rate", "well_formed", "repetition"}
    examples = told["examples"]
    assert (examples["conversations"], examples["turns"], examples["cut"]) == (40, 80, 0)
    assert 0 < examples["supervised_tokens"] < examples["tokens"]
    assert examples["supervised_share"] == examples["supervised_tokens"] / examples["tokens"]
    assert "supervised" in found.report.text() and "before" in found.report.text()


def test_what_ends_an_answer_is_said_everywhere(place: Path) -> None:
    opened = textus.load(place / "whole")
    end = opened.tokenizer.encode_batch([""])[0].size + 3
    kept = {name: json.loads((place / "whole" / name).read_text()) for name in
            ("generation_config.json", "config.json", "tokenizer_config.json")}  # fmt: skip
    assert kept["generation_config.json"]["eos_token_id"] == [end, 0]
    assert kept["config.json"]["eos_token_id"] == end
    assert kept["tokenizer_config.json"]["eos_token"] == TURN_END
    assert opened.ends == (end,)
    form = form_of(opened)
    assert isinstance(form, Templated) and form.turns.end == end
    only = {"logit_bias": (f"{TURN_END}:1000",), "temperature": 0.0}
    found = textus.chat(opened, [textus.Message("user", "2 + 1?")], **only)
    assert (found.finish_reason, found.text, found.tokens) == ("stop", "", (end,))
    (plain,) = textus.generate(opened, "2 + 1?", max_tokens=5, **only)
    assert plain.finish_reason == "stop" and plain.tokens == (end,)
    (late,) = textus.generate(opened, "2 + 1?", max_tokens=5, min_tokens=3, **only)
    assert late.tokens.index(end) == 3


def test_transformers_opens_it_and_writes_the_same_turns(place: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(place / "whole")
    model = transformers.AutoModelForCausalLM.from_pretrained(place / "whole", dtype=torch.float32)
    opened = textus.load(place / "whole")
    messages = [{"role": "user", "content": "2 + 1?"}]
    tokens = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    form = form_of(opened)
    assert form.prompt([textus.Message("user", "2 + 1?")]) == tokens
    with torch.no_grad():
        wanted, found = model(torch.tensor([tokens])).logits, opened.model(torch.tensor([tokens])).logits
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert theirs.eos_token == TURN_END and model.generation_config.eos_token_id == [*opened.ends, 0]


def test_windows_are_shown_as_they_are_asked(place: Path) -> None:
    shown = textus.inspect(place / "whole", window=0).text()
    assert "'<|im_start|>' | ·" in shown and "| '<|im_end|>'" in shown and "another document" in shown
    assert "supervised_share" in textus.inspect(place / "whole").text()


def test_a_run_that_is_killed_resumes_bit_for_bit(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    settings = {**FAST, "lora.rank": 4, "training.steps": 8, "noise": 5.0, "lora.dropout": 0.1}

    def run(out: str) -> None:
        textus.adapt(place / "base", place / "talk.jsonl", method="instruct", out=tmp_path / out, settings=settings)

    run("straight")
    start = Run.__init__

    def until(self: Run, *positions: Any, **given: Any) -> None:
        def stop(step: Any) -> None:
            if step.number == 5:
                raise KeyboardInterrupt

        start(self, *positions, **{**given, "on_step": stop})

    monkeypatch.setattr(Run, "__init__", until)
    with pytest.raises(KeyboardInterrupt):
        run("stopped")
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    monkeypatch.setattr(Run, "__init__", start)
    run("stopped")
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path / "stopped" / "checkpoints")


def test_an_adapter_changes_no_weight_of_its_base(place: Path) -> None:
    base, merged = textus.load(place / "base").model, textus.load(place / "thin").model
    record = json.loads((place / "thin" / "training.json").read_text())
    assert 0 <= record["merge_drift"] < 1e-4
    new = [2, 3]
    rest = [token for token in range(base.config.vocab_size) if token not in new]
    for name, value in base.state_dict().items():
        found = merged.state_dict()[name]
        if name in ("embedding.weight", "head.weight"):
            assert torch.equal(found[rest], value[rest]) and not torch.equal(found[new], value[new])
        elif ("attention." in name and "norm" not in name) or "feed_forward." in name:
            assert not torch.equal(found, value)
            assert torch.linalg.matrix_rank(found - value, rtol=1e-3) <= 4
        else:
            assert torch.equal(found, value)


def test_an_adapter_is_heard_beside_its_base(place: Path) -> None:
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        plain, merged = (textus.load(place / name).model(tokens).logits for name in ("base", "thin"))
        opened = textus.load(place / "base", adapter=place / "thin" / "adapter")
        torch.testing.assert_close(opened.model(tokens).logits, merged, atol=1e-5, rtol=1e-5)
        lora.load(opened.model, place / "thin" / "adapter", "again")
        hear(opened.model, "")
        assert torch.equal(opened.model(tokens).logits, plain)
    assert opened.ends == textus.load(place / "thin").ends and textus.load(place / "base").ends == ()
    assert ChatTemplate.load(opened.manner) == ChatTemplate.load(place / "thin")


def test_peft_opens_it_with_equal_logits_and_we_open_peft_s(place: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    transformers = pytest.importorskip("transformers")
    base = transformers.AutoModelForCausalLM.from_pretrained(place / "base", dtype=torch.float32)
    with pytest.warns(FutureWarning):
        theirs = peft.PeftModel.from_pretrained(base, place / "thin" / "adapter").eval()
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        wanted = theirs(tokens).logits
        ours = textus.load(place / "base", adapter=place / "thin" / "adapter").model(tokens).logits
    torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)
    theirs.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        found = textus.load(place / "base", adapter=tmp_path / "theirs").model(tokens).logits
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_rows_whose_length_is_learnt_are_peft_s_dora(place: Path, tmp_path: Path, one_thread: None) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    transformers = pytest.importorskip("transformers")
    settings = {**FAST, "lora.rank": 4, "lora.dora": True, "training.steps": 3}
    textus.adapt(place / "base", place / "talk.jsonl", method="instruct", out=tmp_path / "dora", settings=settings)
    adapter = tmp_path / "dora" / "adapter"
    assert json.loads((adapter / "adapter_config.json").read_text())["use_dora"] is True
    base = transformers.AutoModelForCausalLM.from_pretrained(place / "base", dtype=torch.float32)
    with pytest.warns(FutureWarning):
        theirs = peft.PeftModel.from_pretrained(base, adapter).eval()
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        wanted = theirs(tokens).logits
        ours = textus.load(place / "base", adapter=adapter).model(tokens).logits
        joined = textus.load(tmp_path / "dora").model(tokens).logits
        without = textus.load(place / "base").model(tokens).logits
    torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(joined, wanted, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(ours, without, atol=1e-3)
    theirs.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        found = textus.load(place / "base", adapter=tmp_path / "theirs").model(tokens).logits
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / "adapter_config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.update(use_dora=True), "wants a lora_magnitude_vector of"),
        (lambda values: values.update(peft_type="IA3"), "peft_type is 'IA3'"),
        (lambda values: values.update(modules_to_save=["lm_head"]), "modules_to_save"),
        (lambda values: values.update(r=8), "wants a lora_A of"),
        (lambda values: values.update(r="four"), "r is 'four'"),
        (lambda values: values.update(trainable_token_indices={"embed_tokens": [1, 10**6]}), "knows token 1000000"),
        (lambda values: values.pop("trainable_token_indices"), "of no table here"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Any]], None], words: str, place: Path, tmp_path: Path
) -> None:
    folder = changed(shutil.copytree(place / "thin" / "adapter", tmp_path / "adapter"), change)
    with pytest.raises(CheckpointError, match=words):
        textus.load(place / "base", adapter=folder)


def test_an_adapter_of_another_model_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="an adapter of another model"):
        textus.load(place / "whole", adapter=place / "thin" / "adapter")
    with pytest.raises(CheckpointError, match="so this is no adapter's directory"):
        textus.load(place / "base", adapter=place / "whole")
    folder = shutil.copytree(place / "thin" / "adapter", tmp_path / "adapter")
    (folder / "adapter_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="damaged"):
        textus.load(place / "base", adapter=folder)
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace("<|im_end|>", "<|im_over|>"))
    with pytest.raises(CheckpointError, match="an adapter for a vocabulary of"):
        textus.load(place / "base", adapter=folder)


HI, HELLO = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}


@pytest.mark.parametrize(
    ("lines", "settings", "kind", "words"),
    [
        ([{"messages": [HI, HI]}], {}, InputError, r"bad.jsonl:1: message 2 is of `user`, and follows one of `user`"),
        ([{"messages": [{**HI, "content": "x" * 500}, HELLO]}], {}, CorpusError, "no token is supervised: the context"),
        ([{"messages": [HI, HELLO]}], {}, CorpusError, r"the (train|validation) part has no example"),
        ([{"messages": [HI, HELLO]}], {"template": "no.jinja"}, InputError, "no.jinja: No such file"),
        (
            [{"messages": [HI, HELLO]}],
            {"template": "bad.jinja"},
            InputError,
            r"bad.jsonl:1: .*line 1: nobody may speak",
        ),
        ([{"messages": [HI, HELLO]}], {"training.start_from": "x"}, ConfigError, "the model to adapt is given already"),
        ([{"messages": [HI, HELLO]}], {"lora.rank": 2, "training.ema": 0.9}, ConfigError, "averages of weights"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    lines: list[Any],
    settings: dict[str, Any],
    kind: type[Exception],
    words: str,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.jsonl").write_text("\n".join(map(json.dumps, lines)))
    Path("bad.jinja").write_text(
        "{% if messages[0]['content'] == 'Hi' %}{{ raise_exception('line 1: nobody may speak') }}{% endif %}"
        "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    )
    if "training.start_from" in settings or "lora.rank" in settings:
        Path("bad.jsonl").write_text(sums())
    with pytest.raises(kind, match=words):
        textus.adapt(place / "base", "bad.jsonl", method="instruct", out="out", settings={**FAST, **settings})


def test_faulty_records_may_be_left_out_and_are_counted(place: Path, tmp_path: Path, one_thread: None) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(sums() + "\n" + json.dumps({"messages": [HI, {**HELLO, "content": ""}]}))
    settings = {**FAST, "data.faulty": "skip", "training.steps": 1, "answers": 0, "training.learning_rate": 1e-9}
    found = textus.adapt(place / "base", path, method="instruct", out=tmp_path / "out", settings=settings)
    assert found.facts["examples"]["faulty"] == f"1 ({path}:41: message 2, of `assistant`, is empty)"
    before, after = scores(found.facts["before"]), scores([score.as_dict() for score in found.scores])
    assert set(after) == {"held_out_loss"}
    assert after["held_out_loss"] == pytest.approx(before["held_out_loss"], abs=1e-4)


def test_a_model_that_reads_both_ways_cannot_answer(place: Path, tmp_path: Path) -> None:
    base = textus.load(place / "base")
    (tmp_path / "both").mkdir()
    model = Transformer(replace(base.config, attention="bidirectional"))
    checkpoint.write_model(tmp_path / "both", model, base.tokenizer, {})
    with pytest.raises(ConfigError, match="reads both ways and cannot write answers"):
        textus.adapt(tmp_path / "both", place / "talk.jsonl", method="instruct", out=tmp_path / "o", settings=FAST)
