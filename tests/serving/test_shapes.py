"""The shapes of answers, and the metrics."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from textus.serving import shapes
from textus.serving.metrics import Metrics


@given(st.lists(st.binary(min_size=1, max_size=6), min_size=2, max_size=8, unique=True))
def test_no_two_tokens_have_one_name(tokens: list[bytes]) -> None:
    names = {shapes.name(token.decode("latin-1")) for token in tokens if not token.startswith(b"bytes:")}
    assert len(names) == sum(not token.startswith(b"bytes:") for token in tokens)


def test_the_chosen_token_is_among_the_alternatives_with_the_very_same_number() -> None:
    told = [["a", None, [], 0], ["b", -2.5, [["a", -0.1], ["b", -2.5000001]], 1]]
    found = shapes.completion_logprobs(told)
    assert found["token_logprobs"] == [None, -2.5]
    assert found["top_logprobs"] == [None, {"a": -0.1, "b": -2.5}]
    assert found["text_offset"] == [0, 1]


def test_metrics_are_lines_that_prometheus_reads() -> None:
    metrics = Metrics()
    clock = metrics.begin('a "model"\\\n')
    clock.piece("")
    clock.piece("stop")
    clock.over(shapes.usage(3, 2))
    metrics.refused[429] += 1
    usage = {"waiting": 1, "running": 2, "blocks_in_use": 1, "blocks": 4, "tokens_read": 5, "tokens_shared": 6}
    text = metrics.text({"m": {**usage, "tokens_written": 7}}, 1, 1)
    line = re.compile(r'(# (HELP|TYPE) .+|[a-z0-9_]+:[a-z0-9_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? [0-9.e+-]+)')
    assert all(line.fullmatch(one) for one in text.splitlines())
    assert 'vllm:kv_cache_usage_perc{model_name="m"} 0.25' in text
    assert 'vllm:request_success_total{model_name="a \\"model\\"\\\\\\n",finished_reason="stop"} 1' in text
    assert 'vllm:time_to_first_token_seconds_count{model_name="a \\"model\\"\\\\\\n"} 1' in text
