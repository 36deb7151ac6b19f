from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textus.errors import ConfigError, InputError
from textus.evaluation.pseudo import likelihood
from textus.evaluation.tasks import measure
from textus.evaluation.tasks.measure import measure_task, methods
from textus.evaluation.tasks.task import open_task

WORDS = ["the quick brown fox", "a lazy dog", "foxes over dogs", "the the the", "jump", "it is over, the dog"]
PAIRS = [{"good": good, "bad": bad, "group": str(len(good) % 2)} for good in WORDS for bad in WORDS if good < bad]


def test_pairs_are_judged_by_their_likelihoods(
    causal: Any, hybrid: Any, encoder: Any, tokenizer: Any, write: Callable[..., Path]
) -> None:
    task = open_task(write(*PAIRS))
    for network, wanted in ((causal, ("causal",)), (encoder, ("word-l2r",)), (hybrid, ("causal", "word-l2r"))):
        assert methods(network, task, "auto") == wanted
        for method in wanted:
            totals = {word: likelihood(network, tokenizer, word, method) for word in WORDS}  # type: ignore[arg-type]
            raw = [totals[pair["good"]].total > totals[pair["bad"]].total for pair in PAIRS]
            by_byte = {word: one.total / len(word.encode()) for word, one in totals.items()}
            by_token = {word: one.total / len(one.tokens) for word, one in totals.items()}
            per_byte, per_token = (
                [size[pair["good"]] > size[pair["bad"]] for pair in PAIRS] for size in (by_byte, by_token)
            )
            found = measure_task(network, tokenizer, task, method)
            assert found.items == len(PAIRS) and found.chance == 0.5 and found.ties == 0
            scores = {score.name: score.value for score in found.scores}
            assert scores["accuracy"] == pytest.approx(np.mean(raw))
            assert scores["accuracy_per_byte"] == pytest.approx(np.mean(per_byte))
            assert scores["accuracy_per_token"] == pytest.approx(np.mean(per_token))
            assert {one["group"] for one in found.groups} == {"0", "1"}


def test_the_order_and_the_size_of_what_is_held_change_nothing(
    causal: Any, tokenizer: Any, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = open_task(write(*PAIRS))
    whole = measure_task(causal, tokenizer, task, "causal")
    monkeypatch.setattr(measure, "_ITEMS", 2)
    parts = measure_task(causal, tokenizer, task, "causal")
    assert parts.scores == whole.scores and parts.groups == whole.groups
    turned = measure_task(causal, tokenizer, open_task(write(*PAIRS[::-1])), "causal")
    assert [score.value for score in turned.scores] == pytest.approx([score.value for score in whole.scores])


def test_choices_stand_behind_the_examples(causal: Any, tokenizer: Any, write: Callable[..., Path]) -> None:
    lines = [{"context": f"the {n}", "choices": WORDS[: 2 + n % 3], "gold": n % 2} for n in range(8)]
    task = open_task(write(*lines), {"shots": 2})
    right = []
    for item in task.items():
        logprobs = []
        for option in item.options:
            given = tokenizer.encode(task.shown + option.context)
            whole = [tokenizer.end, *tokenizer.encode(task.shown + option.context + option.continuation)]
            likely = causal(torch.tensor([whole[:-1]])).logits[0].log_softmax(-1)
            asked = range(len(given), len(whole) - 1)
            logprobs.append(sum(likely[place, whole[place + 1]].item() for place in asked))
        right.append(np.argmax(logprobs) == item.gold)
    found = measure_task(causal, tokenizer, task, "causal")
    assert found.scores[0].value == pytest.approx(np.mean(right))
    assert (found.shots, found.items) == (2, 6)


def test_last_words_are_right_where_the_model_would_write_them(
    causal: Any, encoder: Any, tokenizer: Any, write: Callable[..., Path]
) -> None:
    given = torch.tensor([[tokenizer.end, *tokenizer.encode("the")]])
    written = tokenizer.decode([int(causal(given).logits[0, -1].argmax())])
    task = open_task(write({"context": "the", "target": written, "separator": ""}, {"context": "the", "target": "zzz"}))
    found = {score.name: score.value for score in measure_task(causal, tokenizer, task, "causal").scores}
    assert found["accuracy"] == 0.5 and found["perplexity"] > 1
    assert math.isfinite(measure_task(encoder, tokenizer, task, "word-l2r").scores[0].value)


def test_answers_are_written_and_compared(
    causal: Any, encoder: Any, tokenizer: Any, write: Callable[..., Path]
) -> None:
    from textus.evaluation.tasks.answers import write_answers
    from textus.evaluation.tasks.asks import prompts

    contexts = ["the quick", "the fox", "a dog"]
    texts = write_answers(causal, tokenizer, prompts(tokenizer, contexts, ""), max_tokens=5, stop=("\n\n",))
    answers = [texts[0].strip() or "x", "never", [texts[2].strip() or "y", "or"]]
    task = open_task(
        write(*({"context": context, "answer": answer} for context, answer in zip(contexts, answers, strict=True))),
        {"max_tokens": 5},
    )
    assert methods(causal, task, "auto") == ("generation",)
    found = measure_task(causal, tokenizer, task, "generation")
    wanted = [bool(texts[0].strip()), False, bool(texts[2].strip())]
    assert (found.scores[0].name, found.scores[0].value) == ("exact_match", pytest.approx(np.mean(wanted)))
    with pytest.raises(ConfigError, match="cannot write"):
        measure_task(encoder, tokenizer, task, "generation")


def test_identical_choices_count_one_half(causal: Any, tokenizer: Any, write: Callable[..., Path]) -> None:
    lines = [{"context": "the", "choices": ["fox", "fox"], "gold": n % 2} for n in range(4)]
    found = measure_task(causal, tokenizer, open_task(write(*lines)), "causal")
    assert (found.scores[0].value, found.scores[0].error, found.ties) == (0.5, 0.0, 4)
    assert "4 ties" in "\n".join(found.lines())


def test_texts_are_read_in_windows(causal: Any, tokenizer: Any, write: Callable[..., Path]) -> None:
    texts = ["the quick brown fox " * 3, "it's a dog"]
    task = open_task(write({"task": {"kind": "text"}}, *({"text": text} for text in texts)))
    found = {score.name: score.value for score in measure_task(causal, tokenizer, task, "causal").scores}
    nats = -sum(likelihood(causal, tokenizer, text, "causal").total for text in texts)
    assert found["byte_perplexity"] == pytest.approx(math.exp(nats / sum(len(text) for text in texts)), rel=1e-5)


LONG = [{"good": "the " * 100 + "x" * 200, "bad": "fox"}, *PAIRS[:3]]


def test_an_item_longer_than_the_context_is_refused_before_any_is_asked(
    causal: Any, tokenizer: Any, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = open_task(write(*PAIRS[:2], LONG[0]))
    monkeypatch.setattr(measure, "log_likelihoods", lambda *_, **__: pytest.fail("asked all the same"))
    with pytest.raises(InputError, match=r"task.jsonl:3: \d+ tokens with its 0 examples; the model reads at most 160"):
        measure_task(causal, tokenizer, task, "causal")


def test_it_may_be_left_out_or_cut(causal: Any, encoder: Any, tokenizer: Any, write: Callable[..., Path]) -> None:
    task = open_task(write(*LONG))
    for network, method in ((causal, "causal"), (encoder, "original")):
        skipped = measure_task(network, tokenizer, task, method, too_long="skip")
        assert (skipped.items, skipped.skipped, skipped.cut) == (3, 1, 0)
        cut = measure_task(network, tokenizer, task, method, too_long="cut")
        assert (cut.items, cut.skipped, cut.cut) == (4, 0, 1)
        assert "lost their start" in "\n".join(cut.lines())
    with pytest.raises(InputError, match="holds none of its items"):
        measure_task(causal, tokenizer, open_task(write(LONG[0])), "causal", too_long="skip")


def test_memory_does_not_grow_with_the_file(
    causal: Any, tokenizer: Any, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "_ITEMS", 16)

    def peak(copies: int) -> int:
        task = open_task(write(*PAIRS[:8] * copies))
        tracemalloc.start()
        measure_task(causal, tokenizer, task, "causal")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(8)  # whatever is made once
    few, many = peak(8), peak(40)
    # a file of five times the size: 8 bytes for each of three metrics, 9 besides, and room for arrays to grow
    assert many < 1.1 * few + 8 * 32 * 100
