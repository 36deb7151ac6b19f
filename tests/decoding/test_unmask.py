from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.decoding.fill import write
from textus.decoding.unmask import _guess, unmask
from textus.errors import ConfigError, InputError
from textus.model.transformer import Transformer


@pytest.fixture(scope="module")
def hybrid(model: Transformer) -> Transformer:
    made = Transformer(replace(model.config, {"reads_both_ways": True, "context_length": 40}), seed=1).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return made


@settings(max_examples=20)
@given(hidden=st.integers(1, 12), steps=st.integers(1, 15), temperature=st.sampled_from([0.0, 0.9]))
def test_every_blank_is_settled_and_nothing_else(
    hybrid: Any, tokenizer: Any, hidden: int, steps: int, temperature: float
) -> None:
    tokens = [tokenizer.end, *tokenizer.encode("the fox"), *[tokenizer.mask] * hidden, *tokenizer.encode(" dog")]
    found = unmask(hybrid, tokenizer, tokens, steps=steps, temperature=temperature, seed=3)
    for old, new in zip(tokens, found, strict=True):
        assert new == old if old != tokenizer.mask else new not in tokenizer.special
    assert found == unmask(hybrid, tokenizer, tokens, steps=steps, temperature=temperature, seed=3)


def test_one_at_a_time_is_the_plain_loop(hybrid: Any, tokenizer: Any) -> None:
    tokens = [tokenizer.end, *tokenizer.encode("the"), *[tokenizer.mask] * 5]
    wanted = list(tokens)
    while tokenizer.mask in wanted:
        likely = hybrid(torch.tensor([wanted]), attention="bidirectional").logits[0].log_softmax(-1)
        likely[:, list(tokenizer.special)] = -torch.inf
        places = [position for position, token in enumerate(wanted) if token == tokenizer.mask]
        surest = max(places, key=lambda position: likely[position - 1].max().item())
        wanted[surest] = int(likely[surest - 1].argmax())
    assert unmask(hybrid, tokenizer, tokens, steps=5) == wanted
    assert unmask(hybrid, tokenizer, tokens, steps=50) == wanted


def test_draws_have_the_probabilities_of_the_model() -> None:
    likely = torch.tensor([[0.5, 0.3, 0.2]]).log().double().expand(4000, 3)
    drawn = _guess(likely, list(range(4000)), 0, 1.0, 7)
    assert np.bincount(drawn.numpy()) / 4000 == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
    colder = _guess(likely, list(range(4000)), 0, 0.5, 7)
    squares = np.array([0.25, 0.09, 0.04]) / 0.38
    assert np.bincount(colder.numpy()) / 4000 == pytest.approx(squares, abs=0.03)


def test_text_is_written_behind_a_text(hybrid: Any, tokenizer: Any) -> None:
    text = write(hybrid, tokenizer, "the quick", 6, steps=3)
    assert text.startswith("the quick") and len(tokenizer.encode(text)) >= 3
    drawn = {write(hybrid, tokenizer, "the quick", 6, temperature=2.0, seed=seed) for seed in range(4)}
    assert len(drawn) > 1


def test_what_cannot_be_written_is_refused(model: Any, hybrid: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="left to right only, and writing in any order"):
        write(model, tokenizer, "the", 3)
    with pytest.raises(InputError, match="reads at most 40"):
        write(hybrid, tokenizer, "the", 40)
    for options in ({"steps": 0}, {"temperature": -1.0}, {"seed": -1}):
        with pytest.raises(ConfigError, match="unmask"):
            write(hybrid, tokenizer, "the", 3, **options)
    with pytest.raises(ConfigError, match="num_tokens"):
        write(hybrid, tokenizer, "the", 0)
