from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from textus.checkpoint.checkpoint import write_model
from textus.errors import ConfigError, InputError
from textus.evaluation.pseudo import likelihood

TEXTS = ["the quick brown foxes jumped", "dogs", "It's 12345 lazy dogs!"]


@pytest.fixture(scope="module")
def context_length() -> int:
    return 40


@pytest.mark.parametrize("kind", ["encoder", "hybrid"])
@pytest.mark.parametrize("method", ["original", "word-l2r"])
@pytest.mark.parametrize("text", TEXTS)
def test_each_token_is_asked_with_what_is_hidden_with_it(
    request: Any, tokenizer: Any, kind: str, method: Any, text: str
) -> None:
    network = request.getfixturevalue(kind)
    tokens = [tokenizer.end, *tokenizer.encode(text)]
    starts = tokenizer.word_starts(tokens)
    wanted = []
    for position in range(1, len(tokens)):
        shown, stop = list(tokens), position + 1
        while method == "word-l2r" and stop < len(tokens) and not starts[stop]:
            stop += 1
        shown[position:stop] = [tokenizer.mask] * (stop - position)
        logits = network(torch.tensor([shown]), attention="bidirectional").logits[0]
        state = logits[position - network.config.prediction_offset]
        wanted.append(state.log_softmax(-1)[tokens[position]].item())
    found = likelihood(network, tokenizer, text, method)
    assert found.logprobs == pytest.approx(wanted, abs=1e-4)
    assert found.total == pytest.approx(sum(wanted), abs=1e-3)
    assert "".join(found.tokens) == text and found.name.startswith("pseudo")


def test_one_piece_words_score_the_same_in_both_ways(encoder: Any, tokenizer: Any) -> None:
    text = "the the"
    assert tokenizer.word_starts(tokenizer.encode(text)).all()
    first, second = (likelihood(encoder, tokenizer, text, method) for method in ("original", "word-l2r"))
    assert first.logprobs == pytest.approx(second.logprobs, abs=1e-5) and first.name != second.name


def test_minicons_agrees(encoder: Any, tokenizer: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorer = pytest.importorskip("minicons.scorer")
        write_model(tmp_path, encoder, tokenizer, {})
        transformers = pytest.importorskip("transformers")
        network = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32)
        vocabulary = transformers.AutoTokenizer.from_pretrained(tmp_path)
        vocabulary.batch_encode_plus = vocabulary.__call__  # minicons 0.3.39 calls it so, transformers 5 no longer
        other = scorer.MaskedLMScorer(network, "cpu", tokenizer=vocabulary)
        for method, name in (("original", "original"), ("word-l2r", "within_word_l2r")):
            for text in TEXTS:
                (theirs,) = other.token_score([text], PLL_metric=name)
                mine = likelihood(encoder, tokenizer, text, method)  # type: ignore[arg-type]
                scores = [value for token, value in theirs][-len(mine.logprobs) :]
                assert list(mine.logprobs) == pytest.approx(scores, abs=1e-3), (method, text, theirs)


def test_from_left_to_right_it_is_the_chain_rule(model: Any, hybrid: Any, tokenizer: Any) -> None:
    for network in (model, hybrid):
        tokens = torch.tensor([[tokenizer.end, *tokenizer.encode("the fox")]])
        likely = network(tokens).logits[0].log_softmax(-1)
        wanted = [likely[position, token].item() for position, token in enumerate(tokens[0, 1:].tolist())]
        found = likelihood(network, tokenizer, "the fox", "causal")
        assert found.logprobs == pytest.approx(wanted, abs=1e-4) and found.name == "log_likelihood"


def test_what_a_model_does_not_do_is_refused(model: Any, encoder: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="left to right only"):
        likelihood(model, tokenizer, "the", "word-l2r")
    with pytest.raises(ConfigError, match="no log-likelihood from left to right"):
        likelihood(encoder, tokenizer, "the", "causal")


def test_texts_that_have_no_score_are_refused(encoder: Any, tokenizer: Any) -> None:
    with pytest.raises(InputError, match="empty"):
        likelihood(encoder, tokenizer, "", "original")
    with pytest.raises(InputError, match=r"the text has 61 tokens, .* reads at most 40"):
        likelihood(encoder, tokenizer, "1 " * 30, "original")
