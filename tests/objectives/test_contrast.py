import pytest
import torch
from torch.nn import functional

from textus.dataset.labelled import Data
from textus.dataset.pairs import Pairs
from textus.model.config import ModelConfig
from textus.model.headed import Headed, TaskConfig
from textus.objectives.contrast import Contrast
from textus.objectives.objective import Objective

CONFIG = ModelConfig(
    vocab_size=30,
    context_length=8,
    num_layers=2,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=24,
    dropout=0.2,
)
ROWS = Pairs(
    [[1, 2], [3], [4, 5, 6]],
    [[10], [11, 11], [12, 13, 14], [15]],
    [[0, 1], [1], [2]],
    [[3], [0], []],
    Data("", ""),
    hard=1,
    ordered=True,
)


def model():
    made = Headed(CONFIG, TaskConfig("embed", reading="causal"), seed=1)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return made


def gradients(network, rows_at_once, **settings):
    objective = Contrast(rows_at_once=rows_at_once, attention="causal", **settings)
    torch.manual_seed(7)
    network.zero_grad()
    (part,) = objective.batch(ROWS.rows([0, 1, 2]), torch.Generator()).split(1)
    loss = objective.loss(network, part.to("cpu"))
    loss.total.backward()
    return loss, [parameter.grad.clone() for parameter in network.parameters()]


def slowly(network, temperature, sizes):
    """Each text alone, each query against each passage that may count."""
    window, total = ROWS.rows([0, 1, 2]), 0.0
    vectors = [
        network.pooled(row[inside >= 0][None])[0] for row, inside in zip(window.tokens, window.documents, strict=True)
    ]
    for size in sizes:
        for query, target in enumerate(window.targets.tolist()):
            alike = [
                functional.cosine_similarity(vectors[query][:size], passage[:size], dim=0) / temperature
                for passage in vectors[3:]
            ]
            counted = [one.exp() for place, one in enumerate(alike) if not window.excluded[query, place]]
            total += (torch.stack(counted).sum().log() - alike[target]).item() / len(sizes)
    return total


@pytest.mark.parametrize("sizes", [(), (4, 8)])
def test_the_loss_is_that_of_texts_one_by_one(sizes):
    network = model().eval()
    loss, _ = gradients(network, 32, temperature=0.3, dimensions=sizes)
    assert loss.count == 3
    assert loss.total.item() == pytest.approx(slowly(network, 0.3, (16, *sizes)), rel=1e-4)


def test_the_gradient_is_the_same_however_many_texts_are_in_memory_at_once():
    network = model().eval()
    wanted, all_at_once = gradients(network, 32)
    for size in (1, 2, 3):
        loss, found = gradients(network, size)
        assert loss.total.item() == pytest.approx(wanted.total.item(), rel=1e-5)
        for mine, theirs in zip(found, all_at_once, strict=True):
            assert torch.allclose(mine, theirs, atol=1e-5 * float(theirs.abs().max()) + 1e-7)


def test_what_is_dropped_is_dropped_alike_when_a_text_is_read_again():
    """By finite differences: with another draw the gradient would be of another function."""
    network = model().train()
    parameter = network.get_parameter("norm.weight")

    def total():
        objective = Contrast(rows_at_once=2, attention="causal")
        torch.manual_seed(7)
        return objective.loss(network, objective.batch(ROWS.rows([0, 1, 2]), torch.Generator())).total.item()

    gradient = gradients(network, 2)[1][[name for name, _ in network.named_parameters()].index("norm.weight")]
    step, place = 1e-3, int(gradient.abs().argmax())
    with torch.no_grad():
        parameter[place] += step
        above = total()
        parameter[place] -= 2 * step
        below = total()
    assert (above - below) / (2 * step) == pytest.approx(gradient[place].item(), rel=0.05)


def test_it_is_an_objective_and_measures_as_it_asks():
    assert isinstance(Contrast(), Objective) and Contrast().validation() == Contrast()
