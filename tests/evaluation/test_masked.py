from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from textus.dataset.window import Origin, Window
from textus.errors import ConfigError, CorpusError
from textus.evaluation.masked import evaluate_masked, measure_bound
from textus.evaluation.readings import evaluate_readings
from textus.model.transformer import Transformer
from textus.objectives.masked import Masked
from textus.objectives.objective import IGNORE
from textus.objectives.vocabulary import Vocabulary

CONTEXT = 16
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "dogs"]


def documents(tokenizer: Any, sizes: list[int]) -> list[tuple[np.ndarray, int]]:
    draw, found = np.random.Generator(np.random.Philox(3)), []
    for size in sizes:
        text = " ".join(draw.choice(WORDS, size=size)) if size else ""
        found.append((np.array([tokenizer.end, *tokenizer.encode(text), tokenizer.end]), len(text)))
    return found


@pytest.mark.parametrize("kind", ["encoder", "hybrid"])
def test_scores_are_those_of_a_plain_loop(request: Any, tokenizer: Any, kind: str) -> None:
    network, texts = request.getfixturevalue(kind), documents(tokenizer, [3, 30, 1, 9])
    offset, vocabulary = network.config.prediction_offset, Vocabulary.of(tokenizer)
    question = Masked(vocabulary, prediction_offset=offset).validation()
    nats, right, hidden, place = [], [], 0, 0
    for tokens, _ in texts:
        for start in range(0, max(1, len(tokens) - offset), CONTEXT):
            shown = torch.from_numpy(np.asarray(tokens[start : start + CONTEXT + offset], np.int64))
            size = len(shown)
            part = functional.pad(shown, (0, CONTEXT + offset - size))[None]
            inside = torch.arange(part.shape[1])[None] < size
            predict = inside.clone()
            predict[0, : max(offset, int(start == 0))] = False
            places = place + start + torch.arange(part.shape[1])[None]
            zero = torch.zeros(1, dtype=torch.long)
            window = Window(part, inside.long() - 1, predict, Origin(zero, zero, zero + 1, places))
            if vocabulary.is_special[part[predict].numpy()].all():
                continue
            batch = question.batch(window, torch.Generator())
            logits = network(batch.tokens[:, :size], attention="bidirectional").logits[0]
            for position in range(len(logits)):
                label = batch.labels[0, position]
                if label != IGNORE:
                    nats.append(functional.cross_entropy(logits[position], label).item())
                    right.append(bool(logits[position].argmax() == label))
                    hidden += len(tokenizer.token_bytes(int(label)))
        place += len(tokens)
    found = evaluate_masked(network, tokenizer, texts, data="data", batch_rows=2)
    assert found.score("masked_loss").value == pytest.approx(np.mean(nats), rel=1e-5)
    assert found.score("masked_accuracy").value == pytest.approx(np.mean(right))
    assert found.score("masked_bits_per_byte").value == pytest.approx(sum(nats) / math.log(2) / hidden, rel=1e-5)
    assert found.tokens == len(nats) and found.num_bytes == sum(size for _, size in texts)
    again = evaluate_masked(network, tokenizer, texts, data="data")
    assert again.score("masked_loss").value == pytest.approx(found.score("masked_loss").value, rel=1e-6)


def test_no_score_has_a_name_or_unit_of_a_causal_one(hybrid: Any, tokenizer: Any) -> None:
    texts = documents(tokenizer, [20] * 30)
    found = evaluate_readings(hybrid, tokenizer, lambda: texts, data="d", stride=8, bound=True)
    names = [score.name for score in found.scores]
    assert names == [
        *("loss", "perplexity", "bits_per_byte"),
        *("masked_loss", "masked_accuracy", "masked_bits_per_byte", "bits_per_byte_bound"),
    ]
    assert len({score.unit for score in found.scores}) == len(names)
    assert all(score.error > 0 for score in found.scores if score.name != "masked_accuracy")
    assert found.tokens == sum(len(tokens) - 1 for tokens, _ in texts)
    assert "perplexity" not in " ".join(score.name + score.unit for score in found.scores[3:])


def test_the_bound_is_that_of_enumeration(encoder: Any, tokenizer: Any) -> None:
    """With n tokens, a set S is hidden with weight (|S|-1)! (n-|S|)! / n!."""
    text = "fx zq"
    tokens = np.array([tokenizer.end, *tokenizer.encode(text), tokenizer.end])
    count, exact = len(tokens) - 2, 0.0
    assert 3 <= count <= 9
    for code in range(1, 2**count):
        chosen = [1 + bit for bit in range(count) if code >> bit & 1]
        weight = math.factorial(len(chosen) - 1) * math.factorial(count - len(chosen)) / math.factorial(count)
        shown = torch.from_numpy(tokens.astype(np.int64))
        target = shown[chosen].clone()
        shown[chosen] = tokenizer.mask
        with torch.inference_mode():
            exact += (
                weight
                * functional.cross_entropy(encoder(shown[None]).logits[0, chosen], target, reduction="sum").item()
            )
    exact /= math.log(2) * len(text)
    copies = [(tokens, len(text))] * 40
    found = measure_bound(encoder, tokenizer, copies, data="d", samples=24)
    score, note = found.score, found.note
    assert score.name == "bits_per_byte_bound" and "at most" in score.unit and "24 samples" in note
    assert score.value == pytest.approx(exact, abs=4 * score.error + 1e-9)
    assert score.error < 0.05 * exact
    again = measure_bound(encoder, tokenizer, copies, data="d", samples=24)
    assert (again.score, again.note) == (score, note)


def test_the_bound_is_above_what_it_bounds(hybrid: Any, tokenizer: Any) -> None:
    """A model that has learnt nothing gives all tokens the same: there the bound is the likelihood itself."""
    flat = Transformer(hybrid.config).eval()
    with torch.no_grad():
        flat.head.weight.zero_()
    texts = documents(tokenizer, [12] * 25)
    score = measure_bound(flat, tokenizer, texts, data="d").score
    count = sum(len(tokens) - 2 for tokens, _ in texts)
    exact = count * math.log2(hybrid.config.vocab_size) / sum(size for _, size in texts)
    assert score.value == pytest.approx(exact, rel=1e-6)


def test_a_model_that_reads_one_way_is_refused(model: Any, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="left to right only"):
        evaluate_masked(model, tokenizer, documents(tokenizer, [3]), data="d")
    with pytest.raises(ConfigError, match="left to right only"):
        measure_bound(model, tokenizer, documents(tokenizer, [3]), data="d")


@pytest.mark.parametrize("sizes", [[], [0, 0]])
def test_no_text_is_an_error(encoder: Any, tokenizer: Any, sizes: list[int]) -> None:
    with pytest.raises(CorpusError, match="no token to hide"):
        evaluate_masked(encoder, tokenizer, documents(tokenizer, sizes), data="d")
    with pytest.raises(CorpusError, match="no text to measure"):
        measure_bound(encoder, tokenizer, documents(tokenizer, sizes), data="d")


def test_an_empty_document_among_others_does_no_harm(encoder: Any, tokenizer: Any) -> None:
    found = evaluate_masked(encoder, tokenizer, documents(tokenizer, [5, 0, 5]), data="d")
    assert found.documents == 3 and found.tokens > 0
