"""What the assistant says is asked, alone or packed, and noise is only for learning."""

from __future__ import annotations

import pytest
import torch

from textus.dataset.examples import Examples, Gathered
from textus.dataset.packing import Packed
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.instruction import Instruction
from textus.objectives.logprobs import label_logprobs
from textus.objectives.measure import measure

SHAPE = ModelConfig(
    vocab_size=40, context_length=16, num_layers=2, hidden_size=16, num_heads=2, num_kv_heads=1, head_size=8,
    intermediate_size=32,
)  # fmt: skip


def examples(sizes: list[int]) -> Examples:
    generator = torch.Generator().manual_seed(0)
    gathered = Gathered(SHAPE.vocab_size)
    for size in sizes:
        tokens = torch.randint(SHAPE.vocab_size, (size,), generator=generator).tolist()
        gathered.add(tokens, [at >= size // 2 for at in range(size)])
    return gathered.examples("train")


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer(SHAPE, seed=1)


def total(model: Transformer, packed: Packed, numbers: list[int]) -> tuple[float, int]:
    loss = measure(model, Instruction(), [packed.rows(numbers)], "cpu")
    return float(loss.total), loss.count


def test_packed_conversations_are_asked_as_if_each_stood_alone(model: Transformer) -> None:
    sizes = [5, 9, 3, 12, 7, 2, 8]
    packed = Packed(examples(sizes), SHAPE.context_length, seed=1)
    assert packed.per_epoch < len(sizes)
    together = total(model, packed, list(range(packed.per_epoch)))
    alone = [0.0, 0]
    whole = examples(sizes)
    for number in range(len(sizes)):
        one, tokens = Gathered(SHAPE.vocab_size), slice(int(whole.offsets[number]), int(whole.offsets[number + 1]))
        one.add(whole.tokens[tokens].tolist(), whole.asked[tokens].tolist())
        found = total(model, Packed(one.examples("train"), SHAPE.context_length, seed=1), [0])
        alone = [alone[0] + found[0], alone[1] + found[1]]
    assert together[1] == alone[1] == sum(size - size // 2 for size in sizes)
    assert together[0] == pytest.approx(alone[0], abs=1e-4)


def test_single_log_probabilities_add_up_to_the_loss_and_its_gradient(model: Transformer) -> None:
    window = Packed(examples([6, 9, 4]), SHAPE.context_length, seed=1).rows([0, 1])
    batch = Instruction().batch(window, torch.Generator())
    found = label_logprobs(model, batch)
    assert not found[batch.labels < 0].any()
    (-found.sum()).backward()
    ours = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    loss = Instruction().loss(model, batch)
    loss.total.backward()
    torch.testing.assert_close(-found.sum(), loss.total)
    for name, gradient in ours.items():
        torch.testing.assert_close(model.get_parameter(name).grad, gradient, atol=1e-5, rtol=1e-4)
    model.zero_grad()


def test_noise_is_of_the_seed_and_only_for_learning(model: Transformer) -> None:
    window = Packed(examples([6, 9]), SHAPE.context_length, seed=1).rows([0])
    plain, noisy = Instruction(), Instruction(noise=5.0)
    batch = plain.batch(window, torch.Generator())

    def loss(objective: Instruction, seed: int) -> float:
        torch.manual_seed(seed)
        return float(objective.loss(model, batch).measured)

    model.train()
    assert loss(noisy, 1) == loss(noisy, 1) != loss(noisy, 2)
    assert loss(noisy, 1) != loss(plain, 1) == loss(plain, 2)
    torch.manual_seed(3)
    seen: list[torch.Tensor] = []
    hook = model.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    noisy.loss(model, batch)
    hook.remove()
    added = (seen[0] - model.embedding(batch.tokens)).abs().detach()
    bound = 5 / (batch.tokens.shape[1] * SHAPE.hidden_size) ** 0.5
    assert 0.8 * bound < float(added.max()) <= bound + 1e-6
    model.eval()
    assert loss(noisy, 1) == loss(plain, 1)
