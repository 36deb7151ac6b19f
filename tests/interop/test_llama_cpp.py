"""llama.cpp opens what was exported: the same tokens, and log-probabilities equal to three decimals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.checkpoint.checkpoint import Checkpoint

from .conftest import CONTEXT, TEXTS, USUAL, ends, prompts, talk_tokens

llama_cpp = pytest.importorskip("llama_cpp", reason="pip install llama-cpp-python takes half an hour to build")
pytest.importorskip("gguf", reason="pip install 'textus[gguf]'")


@pytest.fixture(scope="module")
def there(writer: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("gguf") / "a.gguf"
    textus.export(writer.directory, to="gguf", type="f32", out=path, measure=False)
    return llama_cpp.Llama(
        str(path), n_ctx=CONTEXT, n_threads=1, logits_all=True, type_k=0, type_v=0, verbose=False
    )  # fmt: skip


def test_tokens_are_the_same(writer: Checkpoint, there: Any) -> None:
    for text in TEXTS:
        assert there.tokenize(text.encode(), add_bos=False, special=False) == writer.tokenizer.encode(text)


def test_log_probabilities_are_equal(writer: Checkpoint, there: Any) -> None:
    for tokens in prompts(writer):
        there.reset()
        there.eval(tokens)
        found = torch.from_numpy(there.scores[: len(tokens)].copy()).double().log_softmax(-1)
        with torch.inference_mode():
            here = writer.model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
        assert (found - here).abs().max() < 1e-3


def test_turns_ends_and_usual_sampling_are_the_same(writer: Checkpoint, there: Any) -> None:
    kept = there.metadata
    assert int(kept["tokenizer.ggml.eos_token_id"]) in ends(writer)
    told = {"temperature": "temp", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p"}
    told["repetition_penalty"] = "penalty_repeat"
    assert {name: float(kept[f"general.sampling.{theirs}"]) for name, theirs in told.items()} == pytest.approx(USUAL)
    if (expected := talk_tokens(writer)) is not None:
        end, begin = (
            there.detokenize([int(kept[f"tokenizer.ggml.{name}_token_id"])], special=True).decode()
            for name in ("eos", "bos")
        )
        form = llama_cpp.llama_chat_format.Jinja2ChatFormatter(kept["tokenizer.chat_template"], end, begin)
        text = form(messages=[{"role": "user", "content": "What is 2 + 1?"}]).prompt
        assert there.tokenize(text.encode(), add_bos=False, special=True) == expected


def test_a_file_for_each_type_opens(runs: Path, tmp_path: Path) -> None:
    for kind in ("f16", "q8_0"):
        path = tmp_path / f"{kind}.gguf"
        textus.export(runs / "writes", to="gguf", type=kind, out=path, measure=False)
        opened = llama_cpp.Llama(str(path), n_ctx=CONTEXT, n_threads=1, verbose=False)
        assert opened("A class", max_tokens=4)["usage"]["completion_tokens"] > 0
