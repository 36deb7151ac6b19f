"""The loss of KTO on answers with labels, against the formula in plain arithmetic and against answers read alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.dataset.examples import Gathered
from textus.dataset.packing import Packed
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.unpaired import Marked, Unpaired, unpaired_losses

SHAPE = ModelConfig(
    vocab_size=40, context_length=24, num_layers=1, hidden_size=16, num_heads=2, num_kv_heads=1, head_size=8,
    intermediate_size=32,
)  # fmt: skip
ROW = st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.booleans())


@settings(max_examples=25)
@given(st.lists(ROW, min_size=1, max_size=5), st.sampled_from([0.1, 1.0]), st.sampled_from([1.0, 2.5]))
def test_formula(rows: list[tuple[float, float, bool]], beta: float, weight: float) -> None:
    gain, others, good = zip(*rows, strict=True)
    between = max(0.0, sum(others) / len(others))
    wanted = [
        weight * (1 - 1 / (1 + math.exp(-beta * (one - between))))
        if is_good
        else 1 - 1 / (1 + math.exp(-beta * (between - one)))
        for one, is_good in zip(gain, good, strict=True)
    ]
    tensors = [torch.tensor(part, dtype=torch.float64) for part in (gain, others)]
    found = unpaired_losses(*tensors, torch.tensor(good), Unpaired(beta, good_weight=weight))
    assert found.tolist() == pytest.approx(wanted, abs=1e-9)


@torch.no_grad()
def test_each_answer_keeps_its_label_and_its_reference_in_packed_rows(one_thread: None) -> None:
    model, generator, gathered = Transformer(SHAPE, seed=1), torch.Generator().manual_seed(0), Gathered(40)
    for size in (5, 7, 4, 4, 9, 6, 3, 8, 10, 12):
        tokens = torch.randint(40, (size,), generator=generator).tolist()
        gathered.add(tokens, [at >= 2 for at in range(size)])
    held = gathered.examples("train")
    packed = Packed(held, SHAPE.context_length, seed=1, together=2)
    good, reference = np.array([True, False, False, True, False]), np.linspace(-40, -20, 10)
    asked = Unpaired(0.5, 1.5, 0.75, training=Marked(held.offsets, reference, good))
    batch = asked.batch(packed.rows(range(packed.per_epoch)), torch.Generator())
    said = []
    for start, stop in zip(held.offsets[:-1].tolist(), held.offsets[1:].tolist(), strict=True):
        tokens = torch.tensor(held.tokens[start:stop].astype(np.int64))
        logprobs = model(tokens[None, :-1]).logits[0].log_softmax(-1)
        kept = torch.tensor(held.asked[start:stop])[1:]
        said.append(float(logprobs.gather(1, tokens[1:, None])[kept].sum()))
    gain = np.array(said) - reference
    between = max(0.0, gain[1::2].mean())
    signs = np.where(good, 1, -1)
    wanted = np.where(good, 1.5, 0.75) * (1 - 1 / (1 + np.exp(-0.5 * signs * (gain[0::2] - between))))
    loss = asked.loss(model, batch)
    assert loss.count == 5 and packed.per_epoch < 5
    assert float(loss.total) == pytest.approx(wanted.sum(), rel=1e-4)
