from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.training.monitor import LOSS_FLOOR, Monitor

LOSS = st.floats(0.1, 20) | st.sampled_from([math.nan, math.inf])


def filled(values: list[float], window: int = 16, sigmas: float = 6.0) -> Monitor:
    monitor = Monitor(sigmas, window)
    for value in values:
        assert monitor.judge(value, 1.0).judgement == "ok"
    return monitor


@pytest.mark.parametrize(
    ("loss", "norm", "reason"),
    [
        (math.nan, 1.0, "loss is nan"),
        (math.inf, 1.0, "loss is inf"),
        (1.0, math.nan, "gradient norm is nan"),
        (1.0, math.inf, "gradient norm is inf"),
    ],
)
def test_what_is_not_finite_is_bad_from_the_first_step(loss: float, norm: float, reason: str) -> None:
    monitor = Monitor(6, 16)
    verdict = monitor.judge(loss, norm)
    assert (verdict.judgement, verdict.reason) == ("non-finite", reason)
    assert monitor.bad_row == 1
    assert not monitor.losses


@given(st.lists(st.floats(1, 9), min_size=16, max_size=40), st.floats(1, 8))
def test_a_spike_is_what_numpy_says(past: list[float], sigmas: float) -> None:
    monitor = Monitor(sigmas, 16)
    monitor.losses.extend(past)
    monitor.norms.extend([1.0] * 16)
    window = np.array(past[-16:])
    limit = max(window.mean() + sigmas * window.std(), LOSS_FLOOR * window.mean())
    state = monitor.state()
    for loss, judgement in ((limit * (1 + 1e-9), "spike"), (limit * (1 - 1e-9), "ok")):
        monitor.restore(state)
        assert monitor.judge(loss, 1.0).judgement == judgement


def test_a_spike_is_named_with_its_limit_and_enters_the_window_at_it() -> None:
    monitor = filled([3.0, 3.1] * 8)
    verdict = monitor.judge(9.0, 1.0)
    assert verdict.judgement == "spike"
    assert verdict.reason == "loss 9 is above 3.355, the limit by its last steps"
    assert max(monitor.losses) == pytest.approx(3.355)
    assert monitor.judge(3.0, 4.9).judgement == "ok"
    verdict = monitor.judge(3.0, 40.0)
    assert verdict.reason.startswith("gradient norm 40 is above")
    assert monitor.bad_row == 1
    assert monitor.judge(3.0, 1.0).judgement == "ok"
    assert monitor.bad_row == 0


def test_a_lasting_change_is_not_called_a_spike_for_ever() -> None:
    monitor = filled([3.0] * 16)
    judgements = [monitor.judge(4.0, 1.0).judgement for _ in range(20)]
    assert judgements[0] == "spike"
    assert judgements[-1] == "ok"


def test_a_fall_is_no_spike_and_a_young_window_judges_nothing() -> None:
    monitor = filled([3.0] * 16)
    assert monitor.judge(0.1, 1.0).judgement == "ok"
    assert filled([1.0] * 7).judge(1000.0, 1.0).judgement == "ok"
    assert filled([1.0] * 8).judge(1000.0, 1.0).judgement == "spike"


def test_stalled_means_a_full_window_where_the_loss_began() -> None:
    assert not filled([5.0] * 15).stalled(5.0)
    assert filled([5.0] * 16).stalled(5.0)
    assert not filled([4.9] * 16).stalled(5.0)


@given(st.lists(st.tuples(LOSS, LOSS), max_size=60), st.lists(st.tuples(LOSS, LOSS), max_size=20))
def test_a_restored_monitor_judges_as_if_it_had_never_stopped(
    before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> None:
    monitor, resumed = Monitor(3, 16), Monitor(3, 16)
    for loss, norm in before:
        monitor.judge(loss, norm)
    resumed.judge(7.0, 7.0)
    resumed.restore(json.loads(json.dumps(monitor.state(), allow_nan=False)))
    assert [resumed.judge(*step) for step in after] == [monitor.judge(*step) for step in after]
    assert resumed.state() == monitor.state()


STEPS = st.lists(st.tuples(LOSS, LOSS) | st.none(), max_size=50)


@given(STEPS, st.sets(st.integers(0, 50)))
def test_limits_set_ahead_do_not_depend_on_when_the_last_step_is_told(
    steps: list[tuple[float, float] | None], waits: set[int]
) -> None:
    """One monitor is told of each step before the next is sent, the other once the next has been, but for `waits`."""
    told, late = Monitor(3, 16), Monitor(3, 16)
    flying: list[tuple[tuple[float, float] | None, tuple[float, float]]] = []

    def enter(monitor: Monitor, step: tuple[float, float] | None, limits: tuple[float, float]) -> object:
        return monitor.leave_out() if step is None else monitor.judge(*step, limits)

    verdicts: tuple[list[object], list[object]] = ([], [])
    for number, step in enumerate(steps):
        limits = told.limits(without_newest=True)
        assert late.limits(without_newest=not flying) == limits
        verdicts[0].append(enter(told, step, limits))
        if flying:
            verdicts[1].append(enter(late, *flying.pop()))
        flying.append((step, limits))
        if number in waits:
            verdicts[1].append(enter(late, *flying.pop()))
    verdicts[1].extend(enter(late, *pair) for pair in flying)
    assert verdicts[0] == verdicts[1]
    assert told.state() == late.state()
