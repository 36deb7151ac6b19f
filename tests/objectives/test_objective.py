import math

import pytest
import torch

from textus.errors import CorpusError
from textus.objectives.objective import IGNORE, Batch, Loss


def _batch():
    labels = torch.tensor([[1, IGNORE], [IGNORE, IGNORE], [2, 3]])
    return Batch.of(torch.arange(6).view(3, 2), labels, torch.zeros(3, 2, dtype=torch.long))


def test_count_travels():
    batch = _batch()
    moved = batch.to("cpu", non_blocking=True)
    assert batch.count == moved.count == 3
    assert torch.equal(moved.labels, batch.labels) and torch.equal(moved.documents, batch.documents)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_micro_batches_ask_the_same(rows):
    batch = _batch()
    parts = list(batch.split(rows))
    assert sum(part.count for part in parts) == batch.count
    assert all(part.count and len(part.tokens) <= rows for part in parts)
    asked = torch.cat([part.labels[part.labels != IGNORE] for part in parts])
    assert torch.equal(asked, batch.labels[batch.labels != IGNORE])


def test_nothing_asked_is_an_error_not_zero():
    with pytest.raises(CorpusError, match="a batch of 2 x 3 tokens asks for no prediction"):
        Batch.of(torch.zeros(2, 3, dtype=torch.long), torch.full((2, 3), IGNORE), None)
    with pytest.raises(AssertionError):
        _ = Loss(torch.tensor(0.0), 0).mean


def test_sums_of_unequal_parts_are_exact():
    parts = [Loss(torch.tensor(3.0), 1), Loss(torch.tensor(1.0), 3), Loss(torch.tensor(0.0), 4)]
    whole = parts[0] + parts[1] + parts[2]
    assert whole.mean.item() == 0.5 and whole.perplexity == pytest.approx(math.exp(0.5))
    assert Loss(torch.tensor(1e6), 1).perplexity == math.inf
