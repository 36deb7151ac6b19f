"""Models as runs leave them, for other engines to open: one that writes, one that answers, an encoder, a hybrid."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import torch

import textus
from textus.checkpoint.checkpoint import Checkpoint
from textus.tokenizer.template import ChatTemplate
from textus.tokenizer.turns import Turns

TEXTS = [
    "Ça coûte 1 234,50 €, n'est-ce pas? İstanbul'da Ελλάδα Россия",
    "天地玄黃 こんにちは 한국어 👩‍👩‍👧‍👦 🏳️‍🌈 a\u0301 e\u0308",
    "def f(x):\n\tif x != 0x1F:\n\t\treturn {'a': [1, 22, 333, 4444]}\r\n\r\n\n   # done   \n",
    "\x00\x07\x1b[31mred\x1b[0m\u200b\ufeff\u00a0\u2028\u3000 end \t \n",
    " ",
]
TALK: list[Any] = [{"role": "user", "content": "What is 2 + 1?"}]
USUAL = {"temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1}
CONTEXT = 64


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # of other engines, about themselves


@pytest.fixture(autouse=True)
def quick(one_thread: None) -> None:
    """Such small products only lose by sharing them out."""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `writes`, `answers` (and `answers/adapter`), `encoder` and `hybrid`, each a few seconds old."""
    folder = tmp_path_factory.mktemp("interop")
    (folder / "texts").mkdir()
    for name in sorted(topics)[:24]:
        (folder / "texts" / f"{name}.txt").write_text(topics[name], "utf-8")
    talks = [{"prompt": f"What is {n} + 1?", "completion": f"It is {n + 1}."} for n in range(60)]
    (folder / "talks.jsonl").write_text("\n".join(map(json.dumps, talks)), "utf-8")
    sampling = {f"sampling.{name}": value for name, value in USUAL.items()}
    small = {
        "training.steps": 40,
        "training.learning_rate": 0.02,
        "training.batch_tokens": 512,
        "training.threads": 1,
        "model.context_length": CONTEXT,
        "model.num_layers": 2,
        "model.hidden_size": 64,
    }
    with contextlib.chdir(folder):
        for name, objective in {"writes": "causal", "encoder": "masked", "hybrid": "hybrid"}.items():
            textus.train("texts", out=name, settings={**small, **sampling, "objective.name": objective})
        settings = {"answer_tokens": 8, "training.steps": 5, "training.threads": 1, "lora.rank": 4, **sampling}
        textus.adapt("writes", "talks.jsonl", method="instruct", out="answers", settings=settings)
    return folder


@pytest.fixture(scope="session", params=["writes", "answers", "hybrid"])
def writer(request: pytest.FixtureRequest, runs: Path) -> Checkpoint:
    """A model that writes, opened by us."""
    return textus.load(runs / request.param)


def prompts(opened: Checkpoint) -> list[list[int]]:
    """Return beginnings of texts as tokens, the usual first one in front."""
    known = [tokens for text in TEXTS[:3] if (tokens := opened.tokenizer.encode(text))]
    return [[opened.tokenizer.begin, *tokens][: CONTEXT // 2] for tokens in known]


def ours(opened: Checkpoint, tokens: Sequence[int]) -> list[float]:
    """Return ln p of every token after the first, by our network."""
    with torch.inference_mode():
        found = opened.model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return [found[place, token].item() for place, token in enumerate(tokens[1:])]


def talk_tokens(opened: Checkpoint) -> list[int] | None:
    """Return the turns of `TALK` by the model's own template, up to where it answers; none where it has none."""
    template = ChatTemplate.load(opened.directory)
    return Turns.of(template, opened.tokenizer).prompt(TALK) if template else None


def ends(opened: Checkpoint) -> list[int]:
    """Return the tokens that end writing, as we know them."""
    return sorted({opened.tokenizer.end, *opened.tokenizer.stops})


def flat(value: Any) -> list[int]:
    """Return a token or tokens as a sorted list."""
    return sorted(value if isinstance(value, list) else [value])
