"""What is read together, cut up and shared gives what each text gives when it is read alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.errors import ConfigError, DivergenceError
from textus.evaluation.tasks import likelihoods
from textus.evaluation.tasks.asks import Ask
from textus.evaluation.tasks.likelihoods import log_likelihoods
from textus.model.transformer import Transformer


@torch.no_grad()
def alone(model: Transformer, ask: Ask) -> tuple[float, bool]:
    tokens = torch.from_numpy(ask.tokens)
    likely = model(tokens[None, :-1], attention="causal").logits[0].log_softmax(-1)[ask.given - 1 :]
    wanted = tokens[ask.given :]
    return likely.gather(1, wanted[:, None]).sum().item(), bool((likely.argmax(1) == wanted).all())


def flat(groups: list[list[Any]]) -> list[Any]:
    return [one for group in groups for one in group]


def made(random_: random.Random, start: int, questions: list[tuple[int, list[int]]]) -> list[list[Ask]]:
    """Groups that begin with `start` common tokens, a question of some length, and answers of some lengths."""

    def drawn(count: int) -> list[int]:
        return [random_.randrange(4, 290) for _ in range(count)]

    head = [0, *drawn(start)]
    groups = []
    for size, answers in questions:
        question = head + drawn(size)
        groups.append([Ask(np.array([*question, *drawn(count)], np.int64), count) for count in answers])
    return groups


@settings(max_examples=12)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from([0, 3, 40]),
    st.lists(
        st.tuples(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=4)), min_size=1, max_size=7
    ),
    st.sampled_from([64, 100_000]),
)
def test_each_ask_is_told_what_it_is_told_alone(
    causal: Any, random_: random.Random, start: int, questions: list[tuple[int, list[int]]], batch_tokens: int
) -> None:
    groups = made(random_, start, questions)
    done: list[float] = []
    told = log_likelihoods(causal, groups, batch_tokens=batch_tokens, advance=done.append)
    assert [len(group) for group in told] == [len(group) for group in groups] and sum(done) == pytest.approx(
        len(groups)
    )
    for ask, one in zip(flat(groups), flat(told), strict=True):
        logprob, is_greedy = alone(causal, ask)
        assert one.logprob == pytest.approx(logprob, abs=2e-3, rel=1e-5)
        assert (one.is_greedy, one.tokens) == (is_greedy, ask.asked)


def test_what_is_shared_is_read_once(causal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = made(random.Random(1), 50, [(40, [3, 3, 3, 3])] * 6)
    read = 0
    encode_at = Transformer.encode_at

    def counted(self: Any, tokens: Any, *rest: Any) -> Any:
        nonlocal read
        read += tokens.numel()
        return encode_at(self, tokens, *rest)

    monkeypatch.setattr(Transformer, "encode_at", counted)
    log_likelihoods(causal, groups)
    # END and the start; each question; each answer but for its last token
    assert read == 51 + 6 * (40 + 4 * 2)


def test_questions_that_begin_alike_are_read_once(causal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    passage, rest = made(random.Random(5), 0, [(60, [1])])[0][0].tokens, range(10, 18)
    groups = [
        [Ask(np.array([*passage, number, 5, 6]), 2), Ask(np.array([*passage, number, 5, 7]), 2)] for number in rest
    ]
    told = log_likelihoods(causal, [*groups, made(random.Random(6), 0, [(30, [4])])[0]])
    sizes: list[int] = []
    encode_at = Transformer.encode_at

    def counted(self: Any, tokens: Any, *rest: Any) -> Any:
        sizes.append(tokens.numel())
        return encode_at(self, tokens, *rest)

    monkeypatch.setattr(Transformer, "encode_at", counted)
    again = log_likelihoods(causal, [*groups, made(random.Random(6), 0, [(30, [4])])[0]])
    assert again == told and sum(sizes) == len(passage) + 8 * 2 + 34
    for ask, one in zip(flat(groups), flat(told), strict=False):
        assert one.logprob == pytest.approx(alone(causal, ask)[0], abs=2e-3, rel=1e-5)


def test_layers_that_see_only_what_is_near_are_asked_too(causal: Any, wide: Callable[..., Transformer]) -> None:
    near = wide(replace(causal.config, {"window": 8, "global_every": 2}))
    groups = made(random.Random(7), 30, [(40, [2, 5, 1]), (9, [3]), (40, [1, 1])])
    for ask, one in zip(flat(groups), flat(log_likelihoods(near, groups)), strict=True):
        assert one.logprob == pytest.approx(alone(near, ask)[0], abs=2e-3, rel=1e-5)


def test_little_memory_only_means_more_batches(causal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = made(random.Random(2), 30, [(40, [2, 4])] * 5)
    whole = log_likelihoods(causal, groups)
    monkeypatch.setattr(likelihoods, "_PAIRS", 1)
    parts = log_likelihoods(causal, groups)
    for one, other in zip(flat(whole), flat(parts), strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


def test_a_text_may_fill_the_context_and_one_token_more(causal: Any) -> None:
    (group,) = made(random.Random(3), 0, [(150, [10])])
    assert len(group[0].tokens) == causal.config.context_length + 1
    ((told,),) = log_likelihoods(causal, [group])
    assert told.logprob == pytest.approx(alone(causal, group[0])[0], abs=2e-3, rel=1e-5)


def test_the_likeliest_tokens_are_known(causal: Any) -> None:
    tokens = [0, 7, 8]
    for _ in range(4):
        tokens.append(int(causal(torch.tensor([tokens])).logits[0, -1].argmax()))
    asks = [Ask(np.array(tokens), 4), Ask(np.array([*tokens[:-1], (tokens[-1] + 1) % 290]), 4)]
    ((one, other),) = log_likelihoods(causal, [asks])
    assert one.is_greedy and not other.is_greedy


def test_models_that_cannot_tell_are_refused(causal: Any, encoder: Any) -> None:
    groups = made(random.Random(4), 0, [(3, [2])])
    with pytest.raises(ConfigError, match="no log-likelihood from left to right"):
        log_likelihoods(encoder, groups)
    broken = Transformer(causal.config).eval()
    with torch.no_grad():
        broken.embedding.weight.fill_(torch.nan)
    with pytest.raises(DivergenceError, match="not numbers"):
        log_likelihoods(broken, groups)


def test_nothing_asked_is_nothing_told(causal: Any) -> None:
    assert log_likelihoods(causal, []) == [] and log_likelihoods(causal, [[]]) == [[]]
