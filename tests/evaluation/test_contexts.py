from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.errors import ConfigError, CorpusError
from textus.evaluation import targets
from textus.evaluation.contexts import cache_bytes, evaluate_contexts, stretched
from textus.evaluation.estimate import ratio
from textus.evaluation.memory import Peak
from textus.evaluation.targets import Targets
from textus.model.transformer import Transformer

LENGTHS = [4, 8, 16]


def documents_of(lengths: list[int], vocab_size: int = 250) -> list[tuple[np.ndarray, int]]:
    numbers = np.random.default_rng(sum(lengths))
    return [(np.array([0, *numbers.integers(4, vocab_size, length), 0]), 2 * length) for length in lengths]


@torch.no_grad()
def nats_by_hand(model: Transformer, shown: np.ndarray, target: int) -> float:
    logits = model(torch.from_numpy(shown[None].astype(np.int64))).logits[0, -1]
    return -float(logits.double().log_softmax(-1)[target])


def by_hand(
    model: Transformer, documents: Any, length: int, longest: int
) -> tuple[list[float], dict[int, list[float]]]:
    """Predict each target from its own window in a pass of its own, and each place of each window."""
    nats, places = [], {}
    step = length // 2
    for tokens, _ in documents:
        for begin in range(longest, len(tokens), step):
            stop = min(begin + step, len(tokens))
            window = tokens[stop - 1 - length : stop]
            for place in range(1, length + 1):
                found = nats_by_hand(model, window[:place], window[place])
                places.setdefault(int(math.log2(place)), []).append(found)
                if place > length - (stop - begin):
                    nats.append(found)
    return nats, places


def test_every_length_scores_the_same_tokens_as_a_loop_does(model: Any, tokenizer: Any) -> None:
    documents = documents_of([40, 3, 16, 29, 15])
    found = evaluate_contexts(model, tokenizer, lambda: documents, LENGTHS, data="d")
    assert (found.tokens, found.documents) == (sum(max(0, len(tokens) - 16) for tokens, _ in documents), 4)
    for one in found.lengths:
        nats, places = by_hand(model, documents, one.context, 16)
        assert len(nats) == found.tokens
        assert one.loss.value == pytest.approx(np.mean(nats), rel=1e-5)
        assert one.bits_per_byte.value == pytest.approx(sum(nats) / math.log(2) / found.num_bytes, rel=1e-5)
        assert [(place.first, place.tokens) for place in one.places] == [
            (2**number, len(values)) for number, values in sorted(places.items())
        ]
        assert [place.loss for place in one.places] == pytest.approx(
            [np.mean(values) for _, values in sorted(places.items())], rel=1e-5
        )
        assert one.places[-1].last == one.context
    assert found.lengths[-1].difference == found.lengths[-1].difference_error == 0
    assert found.lengths[0].difference == pytest.approx(found.lengths[0].loss.value - found.lengths[2].loss.value)
    sizes = [len(tokenizer.token_bytes(int(token))) for tokens, _ in documents for token in tokens[16:] if token]
    assert found.num_bytes == sum(sizes)


def test_errors_are_over_documents_where_there_are_enough(model: Any, tokenizer: Any) -> None:
    documents = documents_of([7 + number % 5 for number in range(20)])
    found = evaluate_contexts(model, tokenizer, lambda: documents, [8, 4], data="d")
    assert "20 documents" in found.note and [one.context for one in found.lengths] == [4, 8]
    losses = [np.array([sum(by_hand(model, [one], length, 8)[0]) for one in documents]) for length in (4, 8)]
    tokens = np.array([len(one) - 8.0 for one, _ in documents])
    assert found.lengths[0].loss.error == pytest.approx(ratio(losses[0], tokens)[1], rel=1e-4)
    assert found.lengths[0].difference_error == pytest.approx(ratio(losses[0] - losses[1], tokens)[1], rel=1e-4)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=6), st.integers(1, 60), st.sampled_from([3, 4, 7, 8]))
def test_targets_are_covered_once_by_windows_of_any_length(
    model: Any, tokenizer: Any, lengths: list[int], most: int, length: int
) -> None:
    documents = documents_of([60, *lengths])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "_UNIT_TARGETS", 5)
        found = Targets.of(tokenizer, lambda: documents, 8, most)
    total = sum(max(0, len(tokens) - 8) for tokens, _ in documents)
    assert found.all_targets == total and found.count <= total
    assert found.count == total or found.count <= 5 * -(-len(found.chosen) * most // total)
    taken = np.zeros(len(found.unit_tokens), np.int64)
    for window, new, unit in found.windows(length):
        assert len(window) == length + 1 and 1 <= new <= max(1, length // 2)
        taken[unit] += new
    assert taken.tolist() == found.unit_tokens.tolist()


def test_a_stretched_model_has_the_same_weights_and_reads_further(model: Any, tokenizer: Any) -> None:
    longer = stretched(model, 32)
    assert longer.config.rope_scaling == "yarn" and longer.config.rope_original_context == 16
    assert longer.embedding.weight is model.embedding.weight and not longer.head.weight.is_meta
    assert model.config.context_length == 16 and model.config.rope_scaling == "none"
    built = Transformer(longer.config)
    built.load_state_dict(model.state_dict())
    shown = torch.arange(4, 36)[None]
    with torch.no_grad():
        assert torch.equal(built.eval()(shown).logits, longer(shown).logits)
    documents = documents_of([60, 50])
    with pytest.raises(ConfigError, match="at most 16 tokens, and 32"):
        evaluate_contexts(model, tokenizer, lambda: documents, [8, 32], data="d")
    found = evaluate_contexts(model, tokenizer, lambda: documents, [8, 32], data="d", extrapolate=True)
    assert [one.is_extrapolated for one in found.lengths] == [False, True]
    assert found.lengths[1].loss.value == pytest.approx(np.mean(by_hand(longer, documents, 32, 32)[0]), rel=1e-5)
    assert "32 (extrapolated)" in found.report().text()
    tied = Transformer(replace(model.config, {"tied_embeddings": True}))
    assert stretched(tied, 32).head.weight is tied.embedding.weight


def test_what_it_costs_is_told(model: Any, tokenizer: Any) -> None:
    documents = documents_of([60])
    found = evaluate_contexts(model, tokenizer, lambda: documents, LENGTHS, data="d")
    shape = model.config
    assert [one.cache_bytes for one in found.lengths] == [cache_bytes(shape, length, 4) for length in LENGTHS]
    held = [value for value in vars(model.new_cache(1)).values() if isinstance(value, torch.Tensor)]
    assert cache_bytes(shape, 16, 4) == sum(value.nbytes for value in held)
    assert all(one.tokens_per_second > 0 for one in found.lengths)
    html = found.report().html()
    assert html.count("<polyline") == 3 and "runs of text" in html
    assert [row["context"] for row in found.as_dict()["lengths"]] == LENGTHS


def test_a_peak_is_at_least_what_was_taken() -> None:
    with Peak(torch.device("cpu")) as peak:
        taken = np.ones(8_000_000)
    if not peak.bytes:
        pytest.skip("this system does not tell the peak anew")
    assert peak.bytes >= taken.nbytes


def test_what_cannot_be_measured_is_refused(model: Any, tokenizer: Any) -> None:
    short, encoder = documents_of([10, 12]), replace(model.config, {"attention": "bidirectional"})
    with pytest.raises(CorpusError, match="longest of 2 documents has 13 tokens: none has 16") as refused:
        evaluate_contexts(model, tokenizer, lambda: short, LENGTHS, data="d")
    assert "below 12" in refused.value.hint
    found = evaluate_contexts(model, tokenizer, lambda: short, [4, 11], data="d")
    assert found.tokens == 1 + 3
    for documents in ([], documents_of([0])):
        with pytest.raises(CorpusError, match="no text"):
            evaluate_contexts(model, tokenizer, lambda: documents, LENGTHS, data="d")  # noqa: B023
    with pytest.raises(ConfigError, match="reads both ways"):
        evaluate_contexts(Transformer(encoder), tokenizer, lambda: short, LENGTHS, data="d")
    for lengths in ([], [1, 8]):
        with pytest.raises(ConfigError, match="tells nothing"):
            evaluate_contexts(model, tokenizer, lambda: short, lengths, data="d")
