"""The settings of decoding, as a command line or a settings file gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from textus import config as settings
from textus.config import Count, Fraction, Natural, NonNegative, Positive, Range, Settings
from textus.decoding.stop import StopFilter

MINIMUM_TEMPERATURE = 1e-5
"""Dividing by less overflows; a temperature below this means greedy."""
OURS = "textus"
"""Under this key `generation_config.json` keeps what transformers has no word for, and the order."""

Order = Literal["hf", "vllm", "llamacpp"]
Share = Annotated[float, Range(0, 1, open_low=True)]
Cutoff = Annotated[float, Range(0, 1, open_high=True)]
Penalty = Annotated[float, Range(-2, 2)]


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Settings):
    """How text is written. Unless `order` says otherwise, the steps apply in the order of these fields."""

    logit_bias: tuple[str, ...] = ()
    """Added to the logits of single tokens, each as TOKEN:BIAS, where TOKEN is an id or a text that is one token."""
    repetition_penalty: Positive = 1.0
    """Makes tokens of the prompt and of the text so far less likely; 1 changes nothing, 1.1 breaks most loops."""
    repetition_window: Count | Literal["all"] = "all"
    """How many last tokens the repetition penalty looks at."""
    frequency_penalty: Penalty = 0.0
    """Taken from a token's logit for every time that it was written; the prompt does not count."""
    presence_penalty: Penalty = 0.0
    """Taken once from the logit of every token that was written; the prompt does not count."""
    dry_multiplier: NonNegative = 0.0
    """Makes it dear to go on with a repetition, the more the longer it is (DRY); 0 changes nothing, 0.8 is usual."""
    dry_base: Annotated[float, Range(1)] = 1.75
    """By how much each further token of a repetition multiplies what DRY takes."""
    dry_allowed: Count = 2
    """Repetitions shorter than this many tokens cost nothing."""
    no_repeat_ngram: Count | Literal["off"] = "off"
    """No run of this many tokens occurs twice, the prompt included."""
    bad_words: tuple[str, ...] = ()
    """Texts that are not written in their usual tokens, at the beginning of a word or inside."""
    min_tokens: Natural = 0
    """The text does not end by itself before it has this many tokens."""
    temperature: NonNegative = 0.8
    """Below 1 the text is safer, above 1 it is wilder; 0 always takes the likeliest token."""
    top_n_sigma: Positive | Literal["off"] = "off"
    """Draw only from tokens whose logit is within so many standard deviations of the best; 1 is usual."""
    top_k: Count | Literal["off"] = 50
    """Draw only from this many likeliest tokens."""
    top_p: Share = 0.95
    """Draw only from the likeliest tokens that together have this probability; 1 keeps them all."""
    min_p: Fraction = 0.0
    """Draw only from tokens at least this share as likely as the likeliest; 0 keeps them all."""
    typical_p: Share = 1.0
    """Draw only from the tokens of the most expected surprise that together have this probability; 1 keeps them all."""
    epsilon: Cutoff = 0.0
    """Draw only from tokens of at least this probability; 0 keeps them all, 6e-4 is usual."""
    eta: Cutoff = 0.0
    """The same with a bound that falls where the model is unsure; 0 keeps all tokens, 2e-3 is usual."""
    watermark: str = ""
    """A file with a secret key by which `textus watermark detect` can tell the text later; empty: no mark."""
    order: Order = "hf"
    """Whose order the steps apply in: that of transformers, of vLLM, or of llama.cpp with the temperature last."""
    beams: Count = 1
    """With more than one, no draw: the likeliest whole text that a search with so many candidates finds."""
    length_penalty: float = 1.0
    """With beams: a text's log-probability is divided by its length to this power; above 0 prefers longer texts."""
    max_tokens: Count = 200
    """How many tokens to write at most."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """The same seed, prompt and model give the same text."""
    stop: tuple[str, ...] = ()
    """Writing ends before any of these strings."""
    stop_tokens: tuple[str, ...] = ()
    """Writing ends at any of these tokens, which are given by name or id."""
    stop_loops: Annotated[int, Range(2)] | Literal["off"] = "off"
    """Writing ends when the same tokens have come this many times in a row."""
    logprobs: Literal["raw", "processed"] = "raw"
    """Whose log-probabilities are reported: the model's own, or those after all steps, which were drawn from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        StopFilter(self.stop)

    def generation_config(self) -> dict[str, Any]:
        """Say the same in the words of transformers' `generation_config.json`, as far as it has them.

        What it lacks, and the order, stand under `textus`; `from_generation_config` reads all of it back.
        """
        searches = self.beams > 1
        theirs: dict[str, Any] = {"do_sample": not (self.is_greedy or searches), "max_new_tokens": self.max_tokens}
        if theirs["do_sample"]:
            # transformers keeps 50 tokens where nothing is said, so "off" must be said: as 0.
            top_k = 0 if self.top_k == "off" else self.top_k
            theirs |= {"temperature": self.temperature, "top_k": top_k, "top_p": self.top_p}
            optional = {"min_p": self.min_p, "epsilon_cutoff": self.epsilon, "eta_cutoff": self.eta}
            theirs |= {name: value for name, value in optional.items() if value}
            theirs |= {"typical_p": self.typical_p} if self.typical_p < 1 else {}
        if self.repetition_penalty != 1:
            theirs["repetition_penalty"] = self.repetition_penalty
        if self.no_repeat_ngram != "off":
            theirs["no_repeat_ngram_size"] = self.no_repeat_ngram
        if self.min_tokens:
            theirs["min_new_tokens"] = self.min_tokens
        if searches:
            theirs |= {"num_beams": self.beams, "length_penalty": self.length_penalty}
        default = SamplingConfig()
        changed = {name: getattr(self, name) for name in settings.kinds(SamplingConfig)}
        changed = {name: value for name, value in changed.items() if value != getattr(default, name)}
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
        return {**theirs, OURS: {"order": self.order, **kept}}

    @property
    def is_greedy(self) -> bool:
        """Tell whether the likeliest token is always taken."""
        return self.temperature < MINIMUM_TEMPERATURE


_THEIRS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "epsilon_cutoff": "epsilon",
    "eta_cutoff": "eta",
    "repetition_penalty": "repetition_penalty",
    "no_repeat_ngram_size": "no_repeat_ngram",
    "min_new_tokens": "min_tokens",
    "num_beams": "beams",
    "length_penalty": "length_penalty",
    "max_new_tokens": "max_tokens",
}
"""What transformers calls our settings."""


def from_generation_config(values: Mapping[str, Any], source: str) -> SamplingConfig:
    """Read a `generation_config.json`: what we kept there, or else what transformers understands of it.

    In transformers' own files 0 and null switch a filter off, and `do_sample` false means greedy.
    """
    if isinstance(values.get(OURS), dict):
        return settings.build(SamplingConfig, values[OURS], source)
    found: dict[str, Any] = {}
    for theirs, name in _THEIRS.items():
        value = values.get(theirs)
        if value is None:
            continue
        found[name] = "off" if value == 0 and name in ("top_k", "no_repeat_ngram") else value
    if not values.get("do_sample", False):
        found["temperature"] = 0.0
    return settings.build(SamplingConfig, found, source)
