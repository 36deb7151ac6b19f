"""The loss of GRPO against the formulas written out in numpy, token by token, as TRL has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.logprobs import label_logprobs
from textus.objectives.objective import IGNORE, Batch
from textus.objectives.reinforcement import PromptBatch, Reinforcement, Written, advantages, token_losses

SHAPE: dict[str, Any] = {
    "vocab_size": 11, "context_length": 12, "num_layers": 1, "hidden_size": 16, "num_heads": 2, "num_kv_heads": 2,
    "head_size": 8, "intermediate_size": 16,
}  # fmt: skip


@given(st.lists(st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4), min_size=1, max_size=4))
def test_advantages_are_standard_scores_of_a_group(rewards: list[list[float]]) -> None:
    values = np.array(rewards, np.float64)
    better = values - values.mean(1, keepdims=True)
    wanted = better / (values.std(1, ddof=1, keepdims=True) + 1e-4)
    found = advantages(torch.tensor(rewards, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(advantages(torch.tensor(values), scaled=False).numpy(), better, atol=1e-12)


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.1]), st.floats(0.05, 0.5))
def test_a_token_costs_what_the_formula_says(seed: int, beta: float, clip: float) -> None:
    draw = np.random.default_rng(seed)
    now, before, reference = (-np.abs(draw.normal(size=(3, 5))) for _ in range(3))
    gain = draw.normal(size=3)
    found = token_losses(
        *map(torch.tensor, (now, before, reference)),
        torch.tensor(gain),
        clip=clip,
        beta=beta,  # type: ignore[arg-type]
    ).numpy()
    for row in range(3):
        for at in range(5):
            ratio = np.exp(now[row, at] - before[row, at])
            cut = min(max(ratio, 1 - clip), 1 + clip)
            behind = reference[row, at] - now[row, at]
            wanted = -min(ratio * gain[row], cut * gain[row]) + beta * (np.exp(behind) - behind - 1)
            assert found[row, at] == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def written(model: Transformer, *, temperature: float) -> Written:
    """Four answers of different lengths to two prompts, with numbers for all that is compared."""
    torch.manual_seed(2)
    tokens = torch.randint(11, (4, 8))
    labels = torch.full_like(tokens, IGNORE)
    for row, (first, last) in enumerate([(2, 5), (2, 8), (3, 4), (3, 7)]):
        labels[row, first:last] = torch.randint(11, (last - first,))
    batch = Batch.of(tokens, labels, None, attention="causal")
    said = label_logprobs(model, batch, temperature).detach()
    better = advantages(torch.tensor([[1.0, 0.0], [0.5, 2.0]])).flatten()
    shift = 0.3 * torch.randn(said.shape)
    return Written(batch, better, before=said + shift, reference=said - 0.5 * shift)


@pytest.mark.parametrize(("kind", "temperature"), [("grpo", 1.0), ("dr_grpo", 0.7)])
def test_the_loss_is_the_mean_over_answers(kind: Any, temperature: float, one_thread: None) -> None:
    model = Transformer(ModelConfig(**SHAPE), seed=1)
    told = written(model, temperature=temperature)
    asked = Reinforcement(
        kind, group=2, clip=0.2, beta=0.1, temperature=temperature, most_tokens=6, write=lambda model, numbers: told
    )
    batch = PromptBatch(torch.zeros(2, 3).long(), torch.zeros(2, 3).long(), None, 4, numbers=(0, 1), group=2)
    loss = asked.loss(model, batch)
    logits = model(told.batch.tokens).logits.detach().double() / temperature
    assert told.before is not None and told.reference is not None
    wanted = 0.0
    for row in range(4):
        places = [at for at in range(8) if told.batch.labels[row, at] != IGNORE]
        total = 0.0
        for at in places:
            label = int(told.batch.labels[row, at])
            now = float(logits[row, at, label] - logits[row, at].logsumexp(0))
            ratio = np.exp(now - float(told.before[row, at]))
            gain = float(told.advantages[row])
            behind = float(told.reference[row, at]) - now
            total += -min(ratio * gain, np.clip(ratio, 0.8, 1.2) * gain) + 0.1 * (np.exp(behind) - behind - 1)
        wanted += total / (len(places) if kind == "grpo" else 6)
    assert loss.count == 4
    assert float(loss.mean.detach()) == pytest.approx(wanted / 4, rel=1e-5, abs=1e-6)
    loss.total.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.own_parameters().values())


def test_answers_that_are_worth_the_same_teach_nothing(one_thread: None) -> None:
    model = Transformer(ModelConfig(**SHAPE), seed=1)
    told = Written(written(model, temperature=1.0).batch, advantages(torch.ones(2, 2)).flatten())
    asked = Reinforcement(group=2, beta=0.0, write=lambda model, numbers: told)
    batch = PromptBatch(torch.zeros(2, 3).long(), torch.zeros(2, 3).long(), None, 4, numbers=(0, 1), group=2)
    asked.loss(model, batch).total.backward()  # type: ignore[no-untyped-call]
    assert not any(parameter.grad.any() for parameter in model.own_parameters().values() if parameter.grad is not None)


def test_prompts_are_cut_into_parts_that_count_their_answers() -> None:
    numbers = (4, 5, 6)
    batch = PromptBatch(torch.zeros(3, 2).long(), torch.zeros(3, 2).long(), None, 12, numbers=numbers, group=4)
    parts = list(batch.split(2))
    assert [(part.numbers, part.count, len(part.tokens)) for part in parts] == [((4, 5), 8, 2), ((6,), 4, 1)]
    assert batch.count == 12 and batch.to("cpu").numbers == numbers
