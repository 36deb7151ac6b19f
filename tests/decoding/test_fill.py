from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Engine

from textus.decoding.fill import MOST_BLANKS, blanked, fill
from textus.decoding.unmask import unmask
from textus.errors import ConfigError, InputError, TokenizerError
from textus.tokenizer.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def context_length() -> int:
    return 80


@pytest.mark.parametrize("kind", ["encoder", "hybrid"])
def test_candidates_are_the_likeliest_tokens_at_each_blank(request: Any, tokenizer: Any, kind: str) -> None:
    network = request.getfixturevalue(kind)
    text = "the <mask> fox <mask> over."
    tokens = blanked(tokenizer, text)
    found = fill(network, tokenizer, text, 5)
    logits = network(torch.tensor([tokens]), attention="bidirectional").logits[0].softmax(-1)
    positions = [position for position, token in enumerate(tokens) if token == tokenizer.mask]
    assert len(found.blanks) == len(positions) == 2
    for blank, position in zip(found.blanks, positions, strict=True):
        likely = logits[position - network.config.prediction_offset].clone()
        likely[list(tokenizer.special)] = 0
        best = likely.topk(5)
        assert [one.probability for one in blank] == pytest.approx(best.values.tolist(), rel=1e-4)
        assert [one.token for one in blank] == [tokenizer.decode([token]) for token in best.indices.tolist()]
    first = found.blanks[0][0]
    assert found.as_dict()["masks"][0][0] == {"token": first.token, "probability": first.probability}
    filled = unmask(network, tokenizer, tokens, steps=2)
    assert found.text == tokenizer.decode(filled[1:]) and found.text.startswith("the") and found.text.endswith(" over.")


def test_special_tokens_are_no_candidates(encoder: Any, tokenizer: Any) -> None:
    found = fill(encoder, tokenizer, "<mask>", tokenizer.vocab_size)
    assert len(found.blanks[0]) <= tokenizer.vocab_size - len(tokenizer.special)
    assert not {"<mask>", "<|endoftext|>"} & {one.token for one in found.blanks[0]}


def test_the_space_before_a_blank_belongs_to_it(tokenizer: Any) -> None:
    spaced, bare = blanked(tokenizer, "the <mask> fox"), blanked(tokenizer, "the<mask> fox")
    assert spaced == bare
    assert spaced == [tokenizer.end, *tokenizer.encode("the"), tokenizer.mask, *tokenizer.encode(" fox")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no blank", "has no <mask>"),
        ("", "has no <mask>"),
        ("<mask>" * (MOST_BLANKS + 1), f"{MOST_BLANKS + 1} blanks, and at most {MOST_BLANKS}"),
        ("<mask>" + "1 " * 50, "the text has 102 tokens, .* reads at most 80"),
    ],
)
def test_texts_that_cannot_be_filled_are_refused(encoder: Any, tokenizer: Any, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fill(encoder, tokenizer, text, 5)


def test_models_tokenizers_and_numbers_that_cannot_fill_are_refused(model: Any, encoder: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="reads from left to right only, and filling a blank needs both sides"):
        fill(model, tokenizer, "<mask>", 5)
    for number in (0, tokenizer.vocab_size + 1):
        with pytest.raises(ConfigError, match="top_k"):
            fill(encoder, tokenizer, "<mask>", number)
    engine = Engine.from_str(tokenizer._content.replace("<mask>", "<hole>"))
    with pytest.raises(TokenizerError, match="no token `<mask>`"):
        fill(encoder, Tokenizer(engine.to_str()), "<mask>", 5)
