"""Learn from what a model has written itself and what that was worth (GRPO, Shao et al. 2024, arXiv 2402.03300).

A prompt is answered by a group of answers. With `r` their rewards, `p, q, o` the log-probabilities of a token under the
model that learns, the one that wrote and the reference, and `c(x)` what `x` is when cut to `1 - clip ... 1 + clip`:

```
A = (r - mean r) / (std r + 1e-4)                                            of each answer in its group
k = exp(o - p) - (o - p) - 1                                                 k3, Schulman 2020: at least 0
l = -min(exp(p - q) A, c(exp(p - q)) A) + beta k                             of each token
grpo      mean over answers of (sum of l / tokens of the answer)
dr_grpo   mean over answers of (sum of l / tokens that an answer may have)   Liu et al. 2025, arXiv 2503.20783
```
TRL's `GRPOTrainer` has the same under these names of `loss_type`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textus.dataset.window import Window
from textus.model.transformer import Transformer
from textus.objectives.logprobs import label_logprobs
from textus.objectives.objective import IGNORE, Batch, Loss

Kind = Literal["grpo", "dr_grpo"]
EPSILON = 1e-4
"""Added to a standard deviation before something is divided by it."""


@dataclass(frozen=True)
class Written:
    """Answers to prompts, each a row that begins with its prompt, and what they are worth."""

    batch: Batch
    """Asks the tokens of the answers."""
    advantages: Float[Tensor, " answers"]
    before: Float[Tensor, "answers time"] | None = None
    """Log-probabilities under the model that wrote them; None: it is the one that learns."""
    reference: Float[Tensor, "answers time"] | None = None
    """Log-probabilities under the reference; None: nothing holds the model back."""

    def to(self, device: torch.device) -> Written:
        """Return it on a device."""
        before, reference = (value if value is None else value.to(device) for value in (self.before, self.reference))
        return Written(self.batch.to(device), self.advantages.to(device), before, reference)


Write = Callable[[Transformer, tuple[int, ...]], Written]
"""Answers the prompts of rows of these numbers, as the model that learns stands at their step."""
Judge = Callable[[Transformer, tuple[int, ...]], list[float]]
"""Answers held-out prompts, each once by its likeliest tokens, and returns what the answers are worth."""


def advantages(rewards: Float[Tensor, "prompts group"], *, scaled: bool = True) -> Float[Tensor, "prompts group"]:
    """Return by how much each answer is better than its group, in standard deviations of the group where `scaled`.

    >>> advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0]])).round(decimals=3)
    tensor([[ 0.8660, -0.8660, -0.8660,  0.8660]])
    """
    better = rewards - rewards.mean(1, keepdim=True)
    return better / (rewards.std(1, keepdim=True) + EPSILON) if scaled else better


def token_losses(
    logprobs: Float[Tensor, "answers time"],
    before: Float[Tensor, "answers time"],
    reference: Float[Tensor, "answers time"] | None,
    better: Float[Tensor, " answers"],
    *,
    clip: float,
    beta: float,
) -> Float[Tensor, "answers time"]:
    """Return the loss of each token, asked or not."""
    ratio, gain = (logprobs - before).exp(), better.unsqueeze(1)
    found = -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain)
    if reference is None:
        return found
    behind = reference - logprobs
    return found + beta * (behind.exp() - behind - 1)


@dataclass(frozen=True)
class Reinforcement:
    """Ask for answers, and make the better ones of a group likelier."""

    kind: Kind = "grpo"
    group: int = 8
    """Answers to each prompt."""
    clip: float = 0.2
    """How far a token's probability may go from what it was when written before it has no more gradient."""
    beta: float = 0.04
    """What a token costs for leaving the reference."""
    temperature: float = 1.0
    most_tokens: int = 128
    """How many an answer may have."""
    reward: str = ""
    """The name of what answers are judged by; it is a part of what decides the weights."""
    iterations: int = 1
    """Steps that learn from the same answers."""
    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1
    write: InitVar[Write | None] = None
    judge: InitVar[Judge | None] = None

    def __post_init__(self, write: Write | None, judge: Judge | None) -> None:
        # not fields: what they do follows from the model, the data and the settings, which are told of already
        object.__setattr__(self, "_write", write)
        object.__setattr__(self, "_judge", judge)

    def batch(self, window: Window, generator: torch.Generator) -> PromptBatch:
        """Name the prompts; they are answered when the step comes, by the model as it is then."""
        return PromptBatch.of_window(window, self.group)

    def loss(self, model: Transformer, batch: PromptBatch) -> Loss:
        """Sum the loss over answers."""
        write: Write = self.__dict__["_write"]
        written = write(model, batch.numbers).to(batch.tokens.device)
        logprobs = label_logprobs(model, written.batch, self.temperature)
        before = logprobs.detach() if written.before is None else written.before
        losses = token_losses(logprobs, before, written.reference, written.advantages, clip=self.clip, beta=self.beta)
        return Loss(self._of_answers(losses, written.batch.labels != IGNORE).sum(), batch.count)

    def validation(self) -> Rewarded:
        """Return what the model is measured by: the rewards of its answers to held-out prompts."""
        return Rewarded(judge=self.__dict__["_judge"])

    def _of_answers(
        self, losses: Float[Tensor, "answers time"], asked: Bool[Tensor, "answers time"]
    ) -> Float[Tensor, " answers"]:
        """Return the loss of each answer."""
        sums = (losses * asked).sum(1)
        return sums / (asked.sum(1).clamp(min=1) if self.kind == "grpo" else self.most_tokens)


@dataclass(frozen=True)
class Rewarded:
    """Judge a model by the rewards of its answers; the loss is what they lack of 0."""

    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1
    judge: InitVar[Judge | None] = None

    def __post_init__(self, judge: Judge | None) -> None:
        object.__setattr__(self, "_judge", judge)

    def batch(self, window: Window, generator: torch.Generator) -> PromptBatch:
        """Name the prompts."""
        return PromptBatch.of_window(window, 1)

    def loss(self, model: Transformer, batch: PromptBatch) -> Loss:
        """Sum the rewards, and turn them round: less is better."""
        judge: Judge = self.__dict__["_judge"]
        return Loss(-torch.tensor(judge(model, batch.numbers)).sum(), batch.count)

    def validation(self) -> Rewarded:
        """Return itself."""
        return self


@dataclass(frozen=True)
class PromptBatch(Batch):
    """Prompts that wait for answers; nothing is asked of their own tokens."""

    numbers: tuple[int, ...] = ()
    """Of their rows, through all steps."""
    group: int = 1

    @classmethod
    def of_window(cls, window: Window, group: int) -> PromptBatch:
        """Take the rows of a window, each a prompt."""
        assert window.origin is not None
        numbers = tuple(window.origin.numbers.tolist())
        nothing = torch.full_like(window.tokens, IGNORE)
        return cls(window.tokens, nothing, None, len(numbers) * group, attention="causal", numbers=numbers, group=group)

    def split(self, rows: int) -> Iterator[PromptBatch]:
        """Cut into micro-batches of `rows` prompts."""
        for start in range(0, len(self.numbers), rows):
            numbers = self.numbers[start : start + rows]
            part = slice(start, start + rows)
            yield dataclasses.replace(
                self,
                tokens=self.tokens[part],
                labels=self.labels[part],
                numbers=numbers,
                count=len(numbers) * self.group,
            )
