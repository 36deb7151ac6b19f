import torch

from textus.decoding.engine import threads


def measured(monkeypatch, costs, most):
    """Choose among threads whose work takes so long, by a clock that only the work moves on."""
    now = [0.0]
    tried = []

    def work():
        count = torch.get_num_threads()
        tried.append(count)
        now[0] += costs[count]

    monkeypatch.setattr(threads.time, "perf_counter", lambda: now[0])
    before = torch.get_num_threads()
    try:
        chosen = threads.choose_threads(work, most)
        assert torch.get_num_threads() == chosen
    finally:
        torch.set_num_threads(before)
    return chosen, sorted(set(tried))


def test_the_fewest_threads_that_are_about_fastest_are_taken(monkeypatch):
    assert measured(monkeypatch, {1: 0.04, 2: 0.02, 4: 0.0195}, 4) == (2, [1, 2, 4])


def test_threads_that_wait_for_each_other_are_left(monkeypatch):
    assert measured(monkeypatch, {1: 0.01, 2: 0.1}, 2) == (1, [1, 2])


def test_nothing_slower_is_looked_for_where_fewer_are_slower(monkeypatch):
    assert measured(monkeypatch, {8: 0.01, 4: 0.021, 2: 0.05, 1: 0.09}, 8) == (8, [4, 8])


def test_a_large_model_is_not_measured_for_long(monkeypatch):
    assert measured(monkeypatch, {1: 2.0, 2: 1.5, 4: 1.4}, 4) == (4, [4])
