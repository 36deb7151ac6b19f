from __future__ import annotations

from typing import Any

import pytest

from textus.errors import ConfigError
from textus.evaluation.pseudo import likelihood
from textus.evaluation.tasks.asks import asks
from textus.evaluation.tasks.hidden import pseudo_log_likelihoods

TEXTS = ["the quick brown foxes jumped", "dogs", "It's 12345 lazy dogs!", "the fox"]


@pytest.mark.parametrize("kind", ["encoder", "hybrid"])
@pytest.mark.parametrize("method", ["original", "word-l2r"])
@pytest.mark.parametrize("batch_tokens", [1, 10_000])
def test_whole_texts_score_as_they_do_alone(
    request: Any, tokenizer: Any, kind: str, method: Any, batch_tokens: int
) -> None:
    network = request.getfixturevalue(kind)
    done: list[float] = []
    found = pseudo_log_likelihoods(
        network,
        tokenizer,
        asks(tokenizer, [[("", text) for text in TEXTS[:2]], [("", text) for text in TEXTS[2:]]]),
        method,
        batch_tokens=batch_tokens,
        advance=done.append,
    )
    assert sum(done) == pytest.approx(2)
    for told, text in zip([*found[0], *found[1]], TEXTS, strict=True):
        wanted = likelihood(network, tokenizer, text, method)
        assert told.logprob == pytest.approx(wanted.total, abs=2e-3, rel=1e-5)
        assert told.tokens == len(wanted.tokens)


def test_only_what_is_asked_counts(encoder: Any, tokenizer: Any) -> None:
    ((told,),) = pseudo_log_likelihoods(
        encoder, tokenizer, asks(tokenizer, [[("the quick brown", " foxes")]]), "word-l2r"
    )
    whole = likelihood(encoder, tokenizer, "the quick brown foxes", "word-l2r")
    assert told.logprob == pytest.approx(sum(whole.logprobs[-told.tokens :]), abs=1e-3)


def test_a_model_of_one_direction_is_refused(causal: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="left to right only"):
        pseudo_log_likelihoods(causal, tokenizer, [], "word-l2r")
