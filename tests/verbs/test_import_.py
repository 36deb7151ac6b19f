"""Models that were made elsewhere, taken over and used as they are: on the command line, in Python, in training."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import textus
from textus.cli.main import main
from textus.errors import CheckpointError, ConfigError

transformers = pytest.importorskip("transformers")

DATA = Path(__file__).parents[2] / "../shared/data"
STORIES = DATA / "weights/stories15M"
SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 48,
}
MADE = {
    "llama": ("Llama", {**SHAPE, "num_key_value_heads": 1}),
    "qwen2": ("Qwen2", {**SHAPE, "num_key_value_heads": 1}),
    "gpt2": ("GPT2", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 48}),
    "bert": ("Bert", SHAPE),
    "modernbert": ("ModernBert", {**SHAPE, "local_attention": 8}),
}


@pytest.fixture(scope="module")
def elsewhere(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models of other families, with the vocabulary of a run and an instruct model's ends."""
    folder, run = tmp_path_factory.mktemp("elsewhere"), trained / "runs" / "first"
    size = textus.load(run).tokenizer.vocab_size
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    ends |= {"cls_token_id": 0, "sep_token_id": 0}
    for name, (kind, shape) in MADE.items():
        torch.manual_seed(0)
        config = getattr(transformers, f"{kind}Config")(vocab_size=size + 3, **shape, **ends)
        head = "ForMaskedLM" if "bert" in name else "LMHeadModel" if name == "gpt2" else "ForCausalLM"
        getattr(transformers, kind + head)(config).save_pretrained(folder / name)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(run / file, folder / name)
        (folder / name / "chat_template.jinja").write_text("{{ messages[0].content }}")
        values = {"eos_token_id": [0, 3], "do_sample": True, "temperature": 0.6, "top_p": 0.9}
        (folder / name / "generation_config.json").write_text(json.dumps(values))
    return folder


@pytest.fixture
def there(elsewhere: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    """The folder with the models, and beside it the texts that a run was trained on."""
    shutil.copytree(elsewhere, tmp_path / "there")
    shutil.copytree(trained / "my_texts", tmp_path / "my_texts")
    shutil.copytree(trained / "other_texts", tmp_path / "other_texts")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "there"


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], words: list[str], error: str) -> str:
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert re.search(error, said) and "hint: " in said and "Traceback" not in said
    return said


def logits(directory: Path, masked: bool) -> torch.Tensor:
    kind = transformers.AutoModelForMaskedLM if masked else transformers.AutoModelForCausalLM
    with torch.inference_mode():
        found: torch.Tensor = kind.from_pretrained(directory, dtype=torch.float32).eval()(torch.arange(40)[None]).logits
    return found


@pytest.mark.parametrize("family", MADE)
def test_what_was_taken_over_opens_in_transformers_as_before(
    there: Path, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(typed(capsys, "import", str(there / family), "-o", "runs/new", "--json"))
    assert (found["family"], found["directory"]) == (family, "runs/new")
    assert found["tokenizer"]["stops"] == [3] and found["tokenizer"]["is_lossless"]
    opened, masked = textus.load("runs/new"), "bert" in family
    assert opened.provenance["parent"] and opened.provenance["facts"]["imported_from"] == family
    wanted = logits(there / family, masked)
    torch.testing.assert_close(logits(Path("runs/new"), masked), wanted, rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(opened.model(torch.arange(40)[None]).logits, wanted, rtol=1e-4, atol=1e-4)
    generation = json.loads(Path("runs/new/generation_config.json").read_text())
    assert (generation["eos_token_id"], generation["temperature"]) == ([0, 3], 0.6)
    assert Path("runs/new/chat_template.jinja").read_text() == "{{ messages[0].content }}"


def test_its_report_says_what_it_is_and_what_was_left_out(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = typed(capsys, "import", str(there / "gpt2"), "--dtype", "bfloat16")
    for words in ("runs/gpt2", "GPT-2", "parameters", "context", "byte-level BPE", "attn_pdrop=0.1", "<|im_end|>"):
        assert words in said
    assert "GPT-2" in typed(capsys, "inspect", "runs/gpt2") and "attn_pdrop" in typed(
        capsys, "inspect", str(there / "gpt2")
    )
    assert {value.dtype for value in textus.load("runs/gpt2").model.parameters()} == {torch.bfloat16}


def test_it_is_taken_over_once_and_replaces_nothing(there: Path) -> None:
    first = textus.import_(there / "llama", "runs/a")
    before = (first.model.directory / "manifest.json").stat().st_mtime_ns
    textus.import_(there / "llama", "runs/a")
    assert (first.model.directory / "manifest.json").stat().st_mtime_ns == before
    for other in (there / "gpt2", there / "llama"):
        with pytest.raises(ConfigError, match="runs/a: is there already"):
            textus.import_(other, "runs/a", dtype="float16")


def test_commands_open_the_directory_as_it_is(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for family in ("llama", "gpt2"):
        (written,) = textus.generate(there / family, "Once", max_tokens=5, seed=1)
        assert written.tokens
        found = json.loads(typed(capsys, "evaluate", str(there / family), "other_texts/", "--json"))
        assert {"loss", "bits_per_byte"} <= {score["name"] for score in found["scores"]}
    for family in ("bert", "modernbert"):
        (blank,) = textus.fill(there / family, "A <mask> day.", top_k=3).blanks
        assert len(blank) == 3
        assert textus.embed(there / family, "a text").shape == (1, 16)


@pytest.mark.parametrize("family", ["qwen2", "bert"])
def test_training_goes_on_from_it(there: Path, family: str) -> None:
    settings = {
        "training.steps": 2,
        "training.threads": 1,
        "training.batch_tokens": 96,
        "training.evaluate_tokens": 256,
        "training.start_from": str(there / family),
        "model.context_length": 24,
        "sampling.max_tokens": 4,
        "objective.name": "masked" if family == "bert" else "causal",
    }
    result = textus.train("my_texts/", out="runs/on", settings=settings)
    opened = textus.load(result.directory)
    assert (opened.config.family, opened.config.context_length) == (family, 24)
    assert opened.provenance["parent"] and opened.tokenizer.stops == (3,)
    assert (result.directory / "chat_template.jinja").is_file()
    read = torch.arange(24)[None]
    with torch.inference_mode():
        kind = transformers.AutoModelForMaskedLM if family == "bert" else transformers.AutoModelForCausalLM
        wanted = kind.from_pretrained(result.directory, dtype=torch.float32).eval()(read).logits
        torch.testing.assert_close(opened.model(read).logits, wanted, rtol=1e-4, atol=1e-4)
    if family == "bert":
        with pytest.raises(ConfigError, match="has learnt 48 positions, each by itself"):
            textus.train("my_texts/", out="runs/long", settings={**settings, "model.context_length": 64})


def test_mistakes_are_one_sentence(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["import", "nowhere"], "nowhere: no such directory")
    refused(capsys, ["import", "my_texts"], "my_texts/config.json: no such file")
    (there / "llama" / "model.safetensors").rename(there / "llama" / "pytorch_model.bin")
    refused(
        capsys, ["import", str(there / "llama")], "its weights are a pickle .pytorch_model.bin., which can run code"
    )
    values = json.loads((there / "qwen2" / "config.json").read_text())
    (there / "qwen2" / "config.json").write_text(
        json.dumps({**values, "model_type": "rwkv", "architectures": ["Rwkv"]})
    )
    said = refused(capsys, ["import", str(there / "qwen2")], "holds Rwkv, which is not read")
    assert "Llama (LlamaForCausalLM)" in said
    assert not Path("runs").exists()


def test_a_vocabulary_that_is_too_large_is_refused(there: Path) -> None:
    config = transformers.LlamaConfig(vocab_size=100, num_key_value_heads=1, **SHAPE)
    transformers.LlamaForCausalLM(config).save_pretrained(there / "llama")
    with pytest.raises(CheckpointError, match=r"its tokenizer knows \d+ tokens, its model 100"):
        textus.import_(there / "llama")


@pytest.mark.skipif(not STORIES.is_dir(), reason="the shared data is not here")
def test_a_real_llama_tells_a_story(tmp_path: Path, one_thread: None) -> None:
    found = textus.import_(STORIES, tmp_path / "stories")
    model = found.model
    assert (found.as_dict()["parameters"], model.config.context_length) == (15_191_712, 256)
    other = transformers.AutoModelForCausalLM.from_pretrained(STORIES, dtype=torch.float32)
    text = "Once upon a time, there was a little girl named Lily."
    read = torch.tensor([model.tokenizer.frame(model.tokenizer.encode(text))])
    assert read[0, 0] == 1
    with torch.inference_mode():
        torch.testing.assert_close(model.model(read).logits, other(read).logits, rtol=1e-4, atol=1e-4)
        wanted = other.generate(read, max_new_tokens=24, do_sample=False)[0, read.shape[1] :].tolist()
    (written,) = textus.generate(model, text, max_tokens=24, temperature=0.0)
    assert list(written.tokens) == wanted
    assert textus.score(model, text)[0].total > -1.5 * read.shape[1], "it was trained on such stories"
