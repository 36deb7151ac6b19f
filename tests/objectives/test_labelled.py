import pytest
import torch
from torch.nn import functional

from textus.dataset.labelled import Data, Examples
from textus.model.config import ModelConfig
from textus.model.headed import Headed, TaskConfig
from textus.objectives.labelled import Classify, Tag
from textus.objectives.measure import measure
from textus.objectives.objective import Objective

CONFIG = ModelConfig(
    vocab_size=20,
    context_length=8,
    num_layers=1,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=24,
    attention="bidirectional",
    prediction_offset=0,
    family="modernbert",
)
TOKENS = [[1, 2, 3], [4, 5], [6]]
GENERATOR = torch.Generator()


def asked(labels, objective):
    return objective.batch(Examples(TOKENS, labels, Data("", ""), ordered=True).rows([0, 1, 2]), GENERATOR)


def model(task, several=False):
    made = Headed(CONFIG, TaskConfig(task, ("a", "b", "c"), several), seed=1).eval()
    with torch.no_grad():
        made.get_parameter("classifier.weight").mul_(40)
    return made


def logits_of(network, row):
    return network.logits(network.pooled(torch.tensor([row])))[0]


def test_texts_one_by_one_are_the_oracle():
    network, labels = model("classify"), [[2], [0], [1]]
    batch = asked(labels, Classify())
    alone = [logits_of(network, row) for row in TOKENS]
    wanted = sum(
        functional.cross_entropy(one, torch.tensor(label[0])) for one, label in zip(alone, labels, strict=True)
    )
    loss = Classify().loss(network, batch)
    assert loss.count == 3 and loss.total.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert sum(Classify().loss(network, part).total.item() for part in batch.split(2)) == pytest.approx(wanted.item())
    wrong = sum(int(one.argmax()) != label[0] for one, label in zip(alone, labels, strict=True))
    examples = Examples(TOKENS, labels, Data("", ""), ordered=True)
    found = measure(network, Classify().validation(), [examples.rows([0, 1]), examples.rows([2])], "cpu")
    assert (found.total.item(), found.count) == (wrong, 3)


def test_several_labels_are_asked_one_by_one():
    network, labels = model("classify", True), [[1, 0, 1], [0, 0, 0], [1, 1, 1]]
    objective = Classify(several=True)
    loss = objective.loss(network, asked(labels, objective))
    wanted = sum(
        functional.binary_cross_entropy_with_logits(
            logits_of(network, row), torch.tensor(label).float(), reduction="sum"
        )
        for row, label in zip(TOKENS, labels, strict=True)
    )
    assert loss.count == 9 and loss.total.item() == pytest.approx(wanted.item(), rel=1e-5)
    wrong = sum(
        int((logits_of(network, row)[place] > 0) != bool(label[place]))
        for row, label in zip(TOKENS, labels, strict=True)
        for place in range(3)
    )
    assert objective.validation().loss(network, asked(labels, objective)).total.item() == wrong


def test_only_words_that_have_a_tag_are_asked():
    network, labels = model("tag"), [[-1, 2, 0], [-1, 1], [1]]
    batch = asked(labels, Tag())
    wanted, wrong = 0.0, 0
    for row, label in zip(TOKENS, labels, strict=True):
        found = network.logits(network.encode(torch.tensor([row])))[0]
        for place, number in enumerate(label):
            if number >= 0:
                wanted += functional.cross_entropy(found[place], torch.tensor(number)).item()
                wrong += int(found[place].argmax()) != number
    assert batch.count == 4
    assert Tag().loss(network, batch).total.item() == pytest.approx(wanted, rel=1e-5)
    assert Tag().validation().loss(network, batch).total.item() == wrong


def test_they_are_objectives():
    assert isinstance(Classify(), Objective) and isinstance(Tag(), Objective)
