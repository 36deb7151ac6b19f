"""Losses on pairs, held against the formulas of their papers in plain arithmetic, and against pairs by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.dataset.examples import Examples, Gathered
from textus.dataset.packing import Packed
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.preference import LOSSES, Pairs, Preference, References, pairs_of

SHAPE = ModelConfig(
    vocab_size=40, context_length=24, num_layers=1, hidden_size=16, num_heads=2, num_kv_heads=1, head_size=8,
    intermediate_size=32,
)  # fmt: skip
SIZES = [(5, 7), (4, 4), (9, 6), (3, 8), (10, 12)]


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def by_hand(kind: str, rows: list[tuple[float, ...]], beta: float, margin: float) -> list[float]:
    """The formulas once more, a pair at a time: each row is c, r, c', r', |c|, |r|."""
    kl_chosen = max(0.0, sum(row[0] - row[2] for row in rows) / len(rows))
    kl_rejected = max(0.0, sum(row[1] - row[3] for row in rows) / len(rows))
    found = []
    for c, r, c0, r0, nc, nr in rows:
        if kind == "dpo":
            found.append(-math.log(logistic(beta * (math.log(math.exp(c - c0) / math.exp(r - r0))))))
        elif kind == "ipo":
            found.append(((c - c0) / nc - (r - r0) / nr - 1 / (2 * beta)) ** 2)
        elif kind == "kto":
            good = 1 - logistic(beta * ((c - c0) - kl_rejected))
            found.append(good + 1 - logistic(beta * (kl_chosen - (r - r0))))
        elif kind == "simpo":
            found.append(-math.log(logistic(beta / nc * c - beta / nr * r - margin)))
        else:
            p, q = math.exp(c / nc), math.exp(r / nr)
            found.append(-math.log(p) - beta * math.log(logistic(math.log((p / (1 - p)) / (q / (1 - q))))))
    return found


numbers = st.floats(-12, -0.5)
row = st.tuples(numbers, numbers, numbers, numbers, st.integers(1, 9), st.integers(1, 9))


@pytest.mark.parametrize("kind", LOSSES)
@settings(max_examples=40)
@given(st.lists(row, min_size=1, max_size=4), st.sampled_from([0.1, 0.5, 2.0]), st.sampled_from([0.0, 0.5]))
def test_formulas(kind, rows, beta, margin):
    pairs = Pairs(*(torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True)))
    found = LOSSES[kind](pairs, Preference(kind, beta, margin))
    assert found.tolist() == pytest.approx(by_hand(kind, rows, beta, margin), abs=1e-5)


def test_smoothing_takes_a_share_of_pairs_to_be_the_wrong_way_round() -> None:
    pairs = Pairs(*(torch.tensor([value]) for value in (-1.0, -3.0, -2.0, -2.0, 2.0, 2.0)))
    other = Pairs(*(torch.tensor([value]) for value in (-3.0, -1.0, -2.0, -2.0, 2.0, 2.0)))
    right, wrong = (LOSSES["dpo"](one, Preference("dpo", 0.5)) for one in (pairs, other))
    torch.testing.assert_close(LOSSES["dpo"](pairs, Preference("dpo", 0.5, 0.0, 0.2)), 0.8 * right + 0.2 * wrong)


def examples(sizes: list[tuple[int, int]]) -> Examples:
    generator, gathered = torch.Generator().manual_seed(0), Gathered(SHAPE.vocab_size)
    for both in sizes:
        for size in both:
            tokens = torch.randint(SHAPE.vocab_size, (size,), generator=generator).tolist()
            gathered.add(tokens, [at >= 2 for at in range(size)])
    return gathered.examples("train")


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer(SHAPE, seed=1)


def alone(model: Transformer, held: Examples) -> list[float]:
    """The summed log-probability of each answer, read by itself, with all logits at once."""
    found = []
    for start, stop in zip(held.offsets[:-1].tolist(), held.offsets[1:].tolist(), strict=True):
        tokens = torch.tensor(held.tokens[start:stop].astype(np.int64))
        logprobs = model(tokens[None, :-1]).logits[0].log_softmax(-1)
        asked = torch.tensor(held.asked[start:stop])[1:]
        found.append(float(logprobs.gather(1, tokens[1:, None])[asked].sum()))
    return found


@torch.no_grad()
def test_packed_pairs_are_what_each_is_alone(model: Transformer) -> None:
    held = examples(SIZES)
    packed = Packed(held, SHAPE.context_length, seed=1, together=2)
    assert packed.per_epoch < len(SIZES)
    reference = -np.arange(10, dtype=np.float64)
    objective = Preference(training=References(held.offsets, reference))
    batch = objective.batch(packed.rows(range(packed.per_epoch)), torch.Generator())
    assert batch.count == len(SIZES)
    pairs, there = pairs_of(model, batch)
    order = [example for number in range(packed.per_epoch) for example in packed.examples(number).tolist()]
    wanted = alone(model, held)
    assert int(there.sum()) == len(SIZES)
    assert pairs.chosen.tolist() == pytest.approx([wanted[example] for example in order[0::2]], abs=1e-4)
    assert pairs.rejected.tolist() == pytest.approx([wanted[example] for example in order[1::2]], abs=1e-4)
    assert pairs.chosen_reference.tolist() == [-float(example) for example in order[0::2]]
    assert pairs.rejected_reference.tolist() == [-float(example) for example in order[1::2]]
    lengths = [size - 2 for both in SIZES for size in both]
    assert pairs.rejected_length.tolist() == [lengths[example] for example in order[1::2]]


@pytest.mark.parametrize("kind", ["dpo", "ipo", "simpo", "orpo"])
def test_cut_into_micro_batches_it_is_the_same_loss_and_gradient(model: Transformer, kind: str) -> None:
    held = examples(SIZES)
    packed = Packed(held, SHAPE.context_length, seed=1, together=2)
    objective = Preference(kind, training=References(held.offsets, np.linspace(-9.0, -5.0, 10)))  # type: ignore[arg-type]
    batch = objective.batch(packed.rows(range(packed.per_epoch)), torch.Generator())
    found = []
    for rows in (packed.per_epoch, 1):
        model.zero_grad()
        total = torch.zeros(())
        for part in batch.split(rows):
            loss = objective.loss(model, part.to("cpu"))
            loss.total.backward()
            total += loss.measured
        found.append((total, model.embedding.weight.grad.clone()))  # type: ignore[union-attr]
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)
    model.zero_grad()


def test_at_the_reference_dpo_knows_nothing_and_held_out_pairs_have_their_own(model: Transformer) -> None:
    held, other = examples(SIZES), examples(SIZES[:2])
    with torch.no_grad():
        known = [References(one.offsets, np.array(alone(model, one))) for one in (held, other)]
    objective = Preference(training=known[0], measured=known[1])
    for asked, part in ((objective, held), (objective.validation(), other)):
        rows = Packed(part, SHAPE.context_length, seed=1, together=2)
        batch = asked.batch(rows.rows(range(rows.per_epoch)), torch.Generator())
        with torch.no_grad():
            assert float(asked.loss(model, batch).mean) == pytest.approx(math.log(2), abs=1e-5)
