"""How the next token is chosen: processors, applied from left to right, and then the best token or a draw.

```python
Sample(RepetitionPenalty(1.1), Temperature(0.8), TopK(50), TopP(0.95))   # read left to right, applied left to right
```
The usual order, and the one of `strategy_of`, is that of transformers: penalties, temperature, top-k,
top-p, min-p. Others give other distributions: llama.cpp, for one, applies the temperature last.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from textus.decoding.config import SamplingConfig
from textus.decoding.processors import MinP, Processor, RepetitionPenalty, Temperature, TopK, TopP
from textus.decoding.sampler import best, draw


@dataclasses.dataclass(frozen=True, init=False)
class Strategy(ABC):
    """Choose one token a row from processed logits."""

    processors: tuple[Processor, ...]

    def __init__(self, *processors: Processor) -> None:
        object.__setattr__(self, "processors", processors)

    def process(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Apply the processors in order, in float32."""
        logits = logits.float()
        for processor in self.processors:
            logits = processor(logits, history)
        return logits

    @abstractmethod
    def choose(
        self,
        logits: Float[Tensor, "batch vocab"],
        history: Int[Tensor, "batch time"],
        *,
        seed: int,
        position: int,
        rows: Sequence[int],
    ) -> Int[Tensor, " batch"]:
        """Return the next token of each row, on the CPU; `position` and `rows` say where in the random numbers."""

    def describe(self) -> list[str]:
        """Name each step in order.

        >>> from textus.decoding.processors import Temperature, TopK
        >>> Sample(Temperature(0.8), TopK(50)).describe()
        ['Temperature(temperature=0.8)', 'TopK(k=50)', 'Sample']
        """
        return [*map(repr, self.processors), type(self).__name__]


@dataclasses.dataclass(frozen=True, init=False)
class Greedy(Strategy):
    """Take the likeliest token; of tokens that tie, the one with the lowest id."""

    def choose(
        self,
        logits: Float[Tensor, "batch vocab"],
        history: Int[Tensor, "batch time"],
        *,
        seed: int,
        position: int,
        rows: Sequence[int],
    ) -> Int[Tensor, " batch"]:
        """Return the likeliest token of each row."""
        return best(self.process(logits, history))


@dataclasses.dataclass(frozen=True, init=False)
class Sample(Strategy):
    """Draw a token by its probability."""

    def choose(
        self,
        logits: Float[Tensor, "batch vocab"],
        history: Int[Tensor, "batch time"],
        *,
        seed: int,
        position: int,
        rows: Sequence[int],
    ) -> Int[Tensor, " batch"]:
        """Return a token of each row, drawn with the random number of its place."""
        return draw(self.process(logits, history), seed, position, rows)


def strategy_of(config: SamplingConfig) -> Strategy:
    """Build the steps: penalty, temperature, top-k, top-p, min-p; those that change nothing are left out.

    >>> strategy_of(SamplingConfig(top_k="off", repetition_penalty=1.1)).describe()
    ['RepetitionPenalty(penalty=1.1)', 'Temperature(temperature=0.8)', 'TopP(p=0.95)', 'Sample']
    >>> strategy_of(SamplingConfig(temperature=0)).describe()
    ['Greedy']
    """
    steps: list[Processor] = []
    if config.repetition_penalty != 1:
        steps.append(RepetitionPenalty(config.repetition_penalty))
    if config.is_greedy:
        return Greedy(*steps)
    if config.temperature != 1:
        steps.append(Temperature(config.temperature))
    if config.top_k != "off":
        steps.append(TopK(config.top_k))
    if config.top_p != 1:
        steps.append(TopP(config.top_p))
    if config.min_p:
        steps.append(MinP(config.min_p))
    return Sample(*steps)
