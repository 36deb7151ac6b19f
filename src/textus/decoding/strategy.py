"""How the next token is chosen: processors, applied from left to right, and then the best token or a draw.

```python
Sample(RepetitionPenalty(1.1), Temperature(0.8), TopK(50), TopP(0.95))   # read left to right, applied left to right
```
`strategy_of` builds them from settings, in the order that these name.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from textus.decoding.config import SamplingConfig
from textus.decoding.history import History
from textus.decoding.order import steps_of
from textus.decoding.processors import FORGETFUL, Changes, Processor, TopK
from textus.decoding.sampler import Places, best, draw, draw_among
from textus.tokenizer.tokenizer import Tokenizer


class Candidates(NamedTuple):
    """The tokens that can follow, where they are few; what is not among them cannot."""

    logits: Float[Tensor, "batch few"]
    tokens: Int[Tensor, "batch few"]
    """Ascending."""


def _changed(
    logits: Float[Tensor, "batch vocab"], steps: Sequence[Processor], history: History
) -> Float[Tensor, "batch vocab"]:
    """Apply steps one after another, those that can to the copy that the first has made."""
    is_own = False
    for step in steps:
        found = step.change(logits, history) if is_own and isinstance(step, Changes) else step(logits, history)
        is_own = is_own or found is not logits
        logits = found
    return logits


def few(
    logits: Float[Tensor, "batch vocab"], k: int, steps: Sequence[Processor], history: History
) -> Candidates | None:
    """Keep the `k` likeliest tokens, and apply to them alone what looks at nothing else; None where some tie."""
    if 8 * k > logits.shape[1]:
        return None
    best = logits.topk(k + 1)
    last, next_one = best.values[:, k - 1], best.values[:, k]
    if not bool(((next_one < last) | (next_one == -math.inf)).all()):
        return None
    tokens, order = best.indices[:, :k].sort(-1)
    kept = best.values[:, :k].gather(1, order)
    for step in steps:
        kept = step(kept, history)
    return Candidates(kept, tokens)


@dataclasses.dataclass(frozen=True, init=False)
class Strategy(ABC):
    """Choose one token a row from processed logits. Nothing here waits for a device."""

    processors: tuple[Processor, ...]

    def __init__(self, *processors: Processor) -> None:
        object.__setattr__(self, "processors", processors)

    def process(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Apply the processors in order, in float32."""
        return _changed(logits.float(), self.processors, history)

    @abstractmethod
    def pick(self, processed: Float[Tensor, "batch vocab"], places: Places) -> Int[Tensor, " batch"]:
        """Return the next token of each row of processed logits, `NO_TOKEN` where they leave none."""

    def choose(self, logits: Float[Tensor, "batch vocab"], history: History, places: Places) -> Int[Tensor, " batch"]:
        """Process the logits and return the next token of each row."""
        return self.pick(self.process(logits, history), places)

    def narrow(self, logits: Float[Tensor, "batch vocab"], history: History) -> Candidates | None:
        """Process the logits as far as few tokens are left, and these alone from there on; None where that cannot be.

        It can be behind `TopK`, where no tokens tie at its border, and on a CPU, which need not wait to know that.
        """
        kinds = [type(step) for step in self.processors]
        place = kinds.index(TopK) if TopK in kinds else len(kinds)
        if logits.device.type != "cpu" or type(self) not in (Greedy, Sample) or not kinds[place:]:
            return None
        top = self.processors[place]
        if not all(kind in FORGETFUL for kind in kinds[place:]) or not isinstance(top, TopK):
            return None
        return few(
            _changed(logits.float(), self.processors[:place], history), top.k, self.processors[place + 1 :], history
        )

    def pick_among(self, kept: Candidates, places: Places) -> Int[Tensor, " batch"]:
        """Return the column in `kept` of the next token of each row, `NO_TOKEN` where there is none."""
        raise NotImplementedError(f"{type(self).__name__} does not narrow")

    @property
    def looks_back(self) -> bool:
        """Tell whether the tokens so far matter; where they do not, nobody need collect them."""
        return type(self) not in (Greedy, Sample) or any(type(step) not in FORGETFUL for step in self.processors)

    def describe(self) -> list[str]:
        """Name each step in order.

        >>> from textus.decoding.processors import Temperature, TopK
        >>> Sample(Temperature(0.8), TopK(50)).describe()
        ['Temperature(temperature=0.8)', 'TopK(k=50)', 'Sample']
        """
        return [*map(_described, self.processors), type(self).__name__]


@dataclasses.dataclass(frozen=True, init=False)
class Greedy(Strategy):
    """Take the likeliest token; of tokens that tie, the one with the lowest id."""

    def pick(self, processed: Float[Tensor, "batch vocab"], places: Places) -> Int[Tensor, " batch"]:
        """Return the likeliest token of each row."""
        return best(processed)

    def pick_among(self, kept: Candidates, places: Places) -> Int[Tensor, " batch"]:
        """Return the column of the likeliest."""
        return best(kept.logits)


@dataclasses.dataclass(frozen=True, init=False)
class Sample(Strategy):
    """Draw a token by its probability."""

    def pick(self, processed: Float[Tensor, "batch vocab"], places: Places) -> Int[Tensor, " batch"]:
        """Return a token of each row, drawn with the random numbers of its place."""
        return draw(processed, places)

    def pick_among(self, kept: Candidates, places: Places) -> Int[Tensor, " batch"]:
        """Return the column of the token that `pick` would draw."""
        return draw_among(kept.logits, kept.tokens, places)


def strategy_of(config: SamplingConfig, tokenizer: Tokenizer) -> Strategy:
    """Build the steps of `order.py` and what follows them: the best token at temperature 0 and for beams, or a draw.

    Raises `ConfigError` for a setting that names a token which is none.
    """
    steps = steps_of(config, tokenizer)
    return Greedy(*steps) if config.is_greedy or config.beams > 1 else Sample(*steps)


def _described(processor: object) -> str:
    """Name a processor with the values that differ from their defaults; long lists of tokens are counted."""
    if not dataclasses.is_dataclass(processor):
        return repr(processor)
    shown = []
    for field in dataclasses.fields(processor):
        value = getattr(processor, field.name)
        if field.repr and value != field.default:
            is_long = isinstance(value, tuple) and len(value) > 8
            shown.append(f"{field.name}=" + (f"<{len(value)}>" if is_long else repr(value)))
    return f"{type(processor).__name__}({', '.join(shown)})"
