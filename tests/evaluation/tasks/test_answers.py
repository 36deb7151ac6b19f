from __future__ import annotations

from typing import Any

import pytest
import torch

from textus.decoding.generate import complete
from textus.decoding.strategy import Greedy
from textus.errors import ConfigError
from textus.evaluation.tasks.answers import is_right, write_answers
from textus.evaluation.tasks.asks import prompts
from textus.evaluation.tasks.config import TaskConfig
from textus.model.transformer import Transformer

TEXTS = ["the quick", "the fox", "a dog over", "the quick brown fox jumps", "x"]


@pytest.mark.parametrize("shown", ["", "the lazy dog jumps over the brown fox. \n\n"])
@pytest.mark.parametrize("stop", [(), ("e", "the"), ("\n",)])
def test_answers_are_those_that_are_written_one_by_one(
    causal: Any, tokenizer: Any, shown: str, stop: tuple[str, ...]
) -> None:
    done: list[float] = []
    given = prompts(tokenizer, TEXTS, shown)
    found = write_answers(causal, tokenizer, given, max_tokens=12, stop=stop, advance=done.append)
    wanted = [complete(causal, tokenizer, prompt.tolist(), Greedy(), max_tokens=12, stop=stop).text for prompt in given]
    assert found == wanted and sum(done) == len(TEXTS)
    assert any(found)


def test_writing_ends_with_the_context(causal: Any, tokenizer: Any) -> None:
    (prompt,) = prompts(tokenizer, ["x" * 150], "")
    (found,) = write_answers(causal, tokenizer, [prompt], max_tokens=500)
    room = causal.config.context_length + 1 - len(prompt)
    assert found == complete(causal, tokenizer, prompt.tolist(), Greedy(), max_tokens=room).text


def test_models_that_cannot_write_are_refused(causal: Any, encoder: Any, tokenizer: Any) -> None:
    given = prompts(tokenizer, ["the"], "")
    with pytest.raises(ConfigError, match="cannot write"):
        write_answers(encoder, tokenizer, given, max_tokens=2)
    broken = Transformer(causal.config).eval()
    with torch.no_grad():
        broken.embedding.weight.fill_(torch.nan)
    with pytest.raises(Exception, match="not numbers"):
        write_answers(broken, tokenizer, given, max_tokens=2)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("He has 2 + 2 = 4.\n#### 1,234.00", True),
        ("#### 5\n#### 1234", True),
        ("#### 1234\n#### 5", False),
        ("1234", False),
        ("", False),
    ],
)
def test_the_last_number_behind_the_mark_is_the_answer(written: str, right: bool) -> None:
    from textus.evaluation.tasks.formats import FORMATS

    config = next(one.config for one in FORMATS if one.name == "GSM8K")
    assert is_right(written, ["1234"], config) is right


def test_without_a_pattern_all_counts_and_case_where_it_is_asked() -> None:
    config = TaskConfig(kind="generation")
    assert is_right(" Paris ", ["Rome", "Paris"], config) and not is_right("paris", ["Paris"], config)
    assert is_right("paris", ["Paris"], TaskConfig(kind="generation", ignore_case=True))
