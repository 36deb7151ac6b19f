"""What Prometheus reads, under the names that vLLM uses, so that its dashboards show it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)
_WHOLE = (0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0)
HISTOGRAMS = {
    "time_to_first_token_seconds": ("from a request to the first text of its answer", _FIRST),
    "inter_token_latency_seconds": ("from one piece of an answer to the next", _BETWEEN),
    "e2e_request_latency_seconds": ("from a request to the end of its answer", _WHOLE),
}
GAUGES = {
    "num_requests_running": ("texts that are being written", "running"),
    "num_requests_waiting": ("texts that wait", "waiting"),
}
COUNTERS = {
    "prefix_cache_hits_total": ("tokens of prompts that were in the cache", "tokens_shared"),
    "generation_tokens_total": ("tokens written", "tokens_written"),
}


class Histogram:
    """Count values by size.

    >>> sizes = Histogram((1.0, 2.0))
    >>> sizes.add(0.5), sizes.add(2.0), sizes.add(9.0), sizes.counts
    (None, None, None, [1, 1, 1])
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Clock:
    """Follow one request for the metrics."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self._began = self._last = time.monotonic()
        self._has_text = False

    def piece(self, finish: str) -> None:
        """Note that a piece of a text has come."""
        now = time.monotonic()
        name = "inter_token_latency_seconds" if self._has_text else "time_to_first_token_seconds"
        self._metrics.histogram(name, self._model).add(now - self._last)
        self._has_text, self._last = True, now
        if finish:
            self._metrics.finished[self._model, finish] += 1

    def over(self, usage: Mapping[str, int]) -> None:
        """Note that all texts are there."""
        self._metrics.histogram("e2e_request_latency_seconds", self._model).add(time.monotonic() - self._began)
        self._metrics.prompt_tokens[self._model] += usage["prompt_tokens"]


class Metrics:
    """Collect what is told."""

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, str], Histogram] = {}
        self.finished: Counter[tuple[str, str]] = Counter()
        self.prompt_tokens: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()

    def begin(self, model: str) -> Clock:
        """Follow a request."""
        return Clock(self, model)

    def histogram(self, name: str, model: str) -> Histogram:
        """Return a histogram of a model."""
        return self._histograms.setdefault((name, model), Histogram(HISTOGRAMS[name][1]))

    def text(self, usage: Mapping[str, Mapping[str, Any]], open: int, starts: int) -> str:
        """Return all in Prometheus' format; `usage` is what each engine says of itself."""
        lines: list[str] = []
        for name, (words, part) in GAUGES.items():
            lines += _metric(f"vllm:{name}", "gauge", words, {_of(m): one[part] for m, one in usage.items()})
        used = {_of(model): one["blocks_in_use"] / one["blocks"] for model, one in usage.items()}
        lines += _metric("vllm:kv_cache_usage_perc", "gauge", "share of the cache in use, 0 to 1", used)
        for name, (words, part) in COUNTERS.items():
            lines += _metric(f"vllm:{name}", "counter", words, {_of(m): one[part] for m, one in usage.items()})
        asked = {_of(model): one["tokens_shared"] + one["tokens_read"] for model, one in usage.items()}
        lines += _metric("vllm:prefix_cache_queries_total", "counter", "tokens that were read or found", asked)
        read = {_of(model): count for model, count in self.prompt_tokens.items()}
        lines += _metric("vllm:prompt_tokens_total", "counter", "tokens of prompts", read)
        ended = {f'{_of(model)},finished_reason="{why}"': count for (model, why), count in self.finished.items()}
        lines += _metric("vllm:request_success_total", "counter", "texts that were written to their end", ended)
        lines += self._told()
        refused = {f'status="{status}"': count for status, count in self.refused.items()}
        lines += _metric("textus:requests_refused_total", "counter", "requests that got an error", refused)
        lines += _metric("textus:requests_open", "gauge", "requests that are being answered", {"": open})
        lines += _metric("textus:engine_starts_total", "counter", "how often the engine was started", {"": starts})
        return "\n".join(lines) + "\n"

    def _told(self) -> list[str]:
        by_name: dict[str, list[str]] = defaultdict(list)
        for (name, model), one in self._histograms.items():
            below = 0
            for bound, count in zip([*map(str, one.bounds), "+Inf"], one.counts, strict=True):
                below += count
                by_name[name].append(f'vllm:{name}_bucket{{{_of(model)},le="{bound}"}} {below}')
            by_name[name].append(f"vllm:{name}_sum{{{_of(model)}}} {one.total}")
            by_name[name].append(f"vllm:{name}_count{{{_of(model)}}} {below}")
        return [
            line
            for name, lines in by_name.items()
            for line in (*_head(f"vllm:{name}", "histogram", HISTOGRAMS[name][0]), *lines)
        ]


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _metric(name: str, kind: str, words: str, values: Mapping[str, float]) -> list[str]:
    return [
        *_head(name, kind, words),
        *(f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()),
    ]


def _of(model: str) -> str:
    escaped = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'model_name="{escaped}"'
