"""What fine-tuning a model that writes can be told: instructions, preferences, further text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from textus.config import AUTO, Count, Natural, NonNegative, Positive, Range, Settings
from textus.decoding.config import SamplingConfig
from textus.model.adapter import Targets
from textus.tokenizer.turns import Supervised
from textus.training.config import TrainConfig


@dataclass(frozen=True)
class LoraConfig(Settings):
    """Learn a thin pair beside each matrix instead of all weights."""

    rank: Natural = 0
    """Width of the pairs; 0: no adapter, all weights learn."""
    alpha: Positive | AUTO = "auto"
    """What a pair adds is multiplied by alpha / rank; auto: twice the rank."""
    targets: Targets = "all"
    """Which matrices of the blocks have a pair."""
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.0
    """Dropout before a pair."""
    dora: bool = False
    """Learn the length of each row of a matrix by itself, apart from its direction (DoRA); it takes more time."""

    @property
    def scale(self) -> float:
        """Return alpha as a number."""
        return 2.0 * self.rank if self.alpha == "auto" else self.alpha


@dataclass(frozen=True)
class HeldOut(Settings):
    """Which examples are learnt from, and on which ones the model is measured."""

    validation: tuple[str, ...] = ()
    """Files or folders to measure on; empty: a share of the data."""
    validation_fraction: Annotated[float, Range(0, 0.5, open_low=True)] = 0.05
    """That share; equal examples never stand on both sides."""
    faulty: Literal["stop", "skip"] = "stop"
    """What to do about a record that is no example: stop and name it, or leave it out and count it."""


@dataclass(frozen=True)
class InstructSettings(Settings):
    """Teaching a model to answer, by conversations."""

    supervised: Supervised = "assistant"
    """Which tokens are learnt: those of all answers, of the last one only, or all of them."""
    template: str = ""
    """File with the chat template (Jinja); empty: the model's own, or turns between `<|im_start|>` and `<|im_end|>`."""
    noise: NonNegative = 0.0
    """Noise on the embeddings while training (NEFTune); 5 is usual, 0 is none."""
    epochs: Positive = 2.0
    """How often the conversations are shown, where neither training.steps nor training.minutes says otherwise."""
    answers: Natural = 32
    """Questions of the held-out part that the model answers, before and after, to see how it ends."""
    answer_tokens: Annotated[int, Range(1)] = 128
    """Tokens that it may take for each."""
    data: HeldOut = field(default_factory=HeldOut)
    """Examples."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """An adapter instead of all weights."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is learnt."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How it writes unless told otherwise."""


@dataclass(frozen=True)
class PreferenceSettings(Settings):
    """Teaching a model which of two answers is the better one."""

    loss: Literal["dpo", "ipo", "kto", "simpo", "orpo"] = "dpo"
    """What is minimised (docs/adapting.md has the formulas); simpo and orpo need no reference."""
    beta: Positive | AUTO = "auto"
    """How far the model may go from where it began: a smaller one lets it go further. auto: 0.1, for simpo 2."""
    margin: NonNegative = 0.5
    """simpo: by how much the better answer's mean log-probability, times beta, is to be ahead."""
    good_weight: Positive = 1.0
    """kto with labels: what a good answer counts; where one kind is rarer, let it count for more."""
    bad_weight: Positive = 1.0
    """kto with labels: what a bad answer counts."""
    smoothing: Annotated[float, Range(0, 0.5, open_high=True)] = 0.0
    """dpo: the share of pairs that are taken to be the wrong way round."""
    template: str = ""
    """File with the chat template (Jinja); empty: the model's own, or the usual one."""
    epochs: Positive = 1.0
    """How often the pairs are shown, where neither training.steps nor training.minutes says otherwise."""
    data: HeldOut = field(default_factory=HeldOut)
    """Examples."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """An adapter instead of all weights."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is learnt."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How it writes unless told otherwise."""


@dataclass(frozen=True)
class GrpoSettings(Settings):
    """Teaching a model by what its own answers are worth."""

    reward: str = "number"
    """What an answer is worth: `number` (its last number is that of the record's `answer`), `exact` (it is the
    `answer`), `json` (valid JSON, with the record's `keys`), or one's own: `module:function`, `file.py:function`."""
    loss: Literal["grpo", "dr_grpo"] = "grpo"
    """How answers of different lengths, and groups of different spread, count (docs/reinforcement.md)."""
    prompts: Count = 8
    """Prompts a step learns from."""
    group: Annotated[int, Range(2)] = 8
    """Answers to each of them."""
    iterations: Count = 1
    """Steps that learn from the same answers; the clip matters from the second on."""
    clip: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.2
    """How far a token's probability may go from what it was when written before it has no more gradient."""
    beta: NonNegative = 0.04
    """What leaving the model at the beginning costs (KL); 0: nothing, and it need not be kept."""
    temperature: Positive = 1.0
    """How warm answers are written; the model is taken to be as warm where it learns."""
    answer_tokens: Count = 128
    """Tokens that an answer may have."""
    answers: Count = 256
    """Held-out prompts that are answered before and after, at most, each by its likeliest tokens."""
    template: str = ""
    """File with the chat template (Jinja); empty: the model's own, or the usual one."""
    epochs: Positive = 1.0
    """How often the prompts are shown, where neither training.steps nor training.minutes says otherwise."""
    data: HeldOut = field(default_factory=HeldOut)
    """Examples."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """An adapter instead of all weights."""
    training: TrainConfig = field(default_factory=lambda: TrainConfig(spike_sigmas=1000.0))
    """How it is learnt; gradients differ so much from step to step that hardly one is taken for a spike."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How it writes unless told otherwise."""
