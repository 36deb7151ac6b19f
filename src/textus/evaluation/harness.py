"""Models of ours for lm-evaluation-harness (extra `eval`), which knows them as `--model textus`.

The same code asks as for our own tasks, so both give the same scores. Its versions after 0.4.13 find this by our entry
point; for earlier ones `python -m textus.evaluation.lm_eval` is its command line with our models known to it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401 - its own models stay known: it looks for them only while it knows none
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from textus.checkpoint import checkpoint
from textus.decoding.config import SamplingConfig
from textus.decoding.generate import complete
from textus.decoding.strategy import strategy_of
from textus.errors import ConfigError
from textus.evaluation.tasks.answers import write_answers
from textus.evaluation.tasks.asks import Ask, asks, cut, prompts, windows
from textus.evaluation.tasks.hidden import pseudo_log_likelihoods
from textus.evaluation.tasks.likelihoods import Told, log_likelihoods
from textus.evaluation.tasks.measure import Scoring

_AT_ONCE = 1_024
_MAX_TOKENS = 256
"""How much is written where a task does not say, as its other models do."""
_SAMPLING: dict[str, Any] = {"temperature": 1.0, "top_k": "off", "top_p": 1.0}
"""What draws are made by, where a task does not say."""
_logger = logging.getLogger(__name__)


@register_model("textus")
class TextusLM(LM):  # type: ignore[misc]  # lm_eval has no types
    """A model directory that is asked log-likelihoods, the likelihood of whole texts, and answers.

    Arguments are `pretrained` (the directory), `device`, and `scoring` (auto: from left to right where the model reads
    so, else the pseudo-log-likelihood `word-l2r`; `original` is that of BabyLM). Texts stand together by their tokens,
    so `batch_size` changes nothing.
    """

    def __init__(
        self,
        pretrained: str,
        device: str = "cpu",
        scoring: Scoring = "auto",
        batch_size: int | str = 1,
        max_batch_size: int | str | None = None,
    ) -> None:
        super().__init__()
        self._opened = checkpoint.load(Path(pretrained), device=device)
        self.model, self.tokenizer = self._opened.model, self._opened.tokenizer
        readings = self.model.config.readings
        self.method = scoring if scoring != "auto" else "causal" if "causal" in readings else "word-l2r"

    @property
    def max_length(self) -> int:
        """Return how many tokens the model reads."""
        return self.model.config.context_length

    @property
    def tokenizer_name(self) -> str:
        """Return what tells this tokenizer from others."""
        return self.tokenizer.fingerprint

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return ln p of each continuation, and whether it is the likeliest."""
        found: list[tuple[float, bool]] = []
        for part in _parts(requests):
            asked = asks(self.tokenizer, [[request.args for request in group] for group in part])
            told = self._told(self._held(asked))
            found += [(one.logprob, one.is_greedy) for group in told for one in group]
        self._remember("loglikelihood", requests, found)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return ln p of each text, read in windows; END, which stands before it, is not asked."""
        found: list[float] = []
        for first in range(0, len(requests), _AT_ONCE):
            texts = [request.args[0] for request in requests[first : first + _AT_ONCE]]
            told = self._told([windows(self.tokenizer, text, self.max_length) for text in texts])
            found += [sum(one.logprob for one in group) for group in told]
        self._remember("loglikelihood_rolling", requests, found)
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Return what the model writes behind each context, up to a stop string or END."""
        found = [""] * len(requests)
        by_settings: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            by_settings.setdefault(repr(request.args[1]), []).append(number)
        for numbers in by_settings.values():
            written = self._written([requests[number].args[0] for number in numbers], requests[numbers[0]].args[1])
            for number, text in zip(numbers, written, strict=True):
                found[number] = text
        self._remember("generate_until", requests, found)
        return found

    def _told(self, groups: list[list[Ask]]) -> list[list[Told]]:
        if self.method == "causal":
            return log_likelihoods(self.model, groups)
        return pseudo_log_likelihoods(self.model, self.tokenizer, groups, self.method)

    def _held(self, groups: list[list[Ask]]) -> list[list[Ask]]:
        """Leave out the start of what the context does not hold, as lm-evaluation-harness has it, and say so."""
        most = self.max_length + (self.method == "causal")
        if too_long := sum(len(ask.tokens) > most for group in groups for ask in group):
            _logger.warning("%d texts lose their start: the model reads %d tokens", too_long, self.max_length)
        return [[cut(ask, most) for ask in group] for group in groups]

    def _written(self, contexts: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
        until = settings.get("until") or []
        stop = [one for one in ([until] if isinstance(until, str) else until) if one]
        most = int(settings.get("max_gen_toks", _MAX_TOKENS))
        if most >= self.max_length:
            raise ConfigError(
                f"{most} tokens are to be written, and the model reads {self.max_length}, prompt and answer together",
                hint="lower max_gen_toks: --gen_kwargs max_gen_toks=N",
            )
        given = [tokens[-(self.max_length - most) :] for tokens in prompts(self.tokenizer, contexts, "")]
        if not settings.get("do_sample") or settings.get("temperature") == 0:
            return write_answers(self.model, self.tokenizer, given, max_tokens=most, stop=stop)
        sampling = {key: settings.get(key, value) for key, value in _SAMPLING.items()}
        strategy = strategy_of(SamplingConfig(**sampling), self.tokenizer)
        return [
            complete(
                self.model, self.tokenizer, tokens.tolist(), strategy, max_tokens=most, stop=stop, seed=number
            ).text
            for number, tokens in enumerate(given)
        ]

    def _remember(self, kind: str, requests: Sequence[Any], found: Sequence[Any]) -> None:
        for request, answer in zip(requests, found, strict=True):
            self.cache_hook.add_partial(kind, request.args, answer)


def _parts(requests: Sequence[Any]) -> Iterator[list[list[Any]]]:
    """Yield requests of one task at a time, those that are choices for one question together."""
    for _, of_task in groupby(requests, key=lambda request: request.task_name):
        groups = groupby(of_task, key=lambda request: (request.doc_id, request.args[0]))
        part: list[list[Any]] = []
        for _, group in groups:
            part.append(list(group))
            if len(part) == _AT_ONCE:
                yield part
                part = []
        if part:
            yield part
