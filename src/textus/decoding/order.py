"""From settings to steps, in the order of one engine or another; each order is another distribution.

```
hf        bias, penalties, no-repeat, bad words, minimum | temperature, top-k, top-p, min-p, typical, epsilon, eta
vllm      bad words, minimum, bias, penalties, no-repeat | temperature, min-p, top-k, top-p, typical, epsilon, eta
llamacpp  bias, penalties, no-repeat, bad words, minimum | top-k, typical, top-p, min-p, epsilon, eta, temperature
```
What comes before the line also shapes a greedy choice. "Penalties" are repetition, frequency and presence, then DRY.
top-n-sigma, which no temperature changes, comes right before top-k, or before what stands in its place. Steps that an
engine does not have stand where the other two have them. A watermark comes after all others: it draws.
"""

from __future__ import annotations

from collections.abc import Mapping

from textus.decoding import words
from textus.decoding.bans import BadWords, LogitBias, MinLength
from textus.decoding.config import Order, SamplingConfig
from textus.decoding.penalties import Dry, FrequencyPenalty, NoRepeatNgram, PresencePenalty, RepetitionPenalty
from textus.decoding.processors import Epsilon, Eta, MinP, Processor, Temperature, TopK, TopNSigma, TopP, Typical
from textus.decoding.watermark import Watermark, read_key
from textus.errors import ConfigError
from textus.tokenizer.tokenizer import Tokenizer

_PENALTIES: tuple[type, ...] = (RepetitionPenalty, FrequencyPenalty, PresencePenalty, Dry, NoRepeatNgram)
ORDERS: Mapping[Order, tuple[type, ...]] = {
    "hf": (
        *(LogitBias, *_PENALTIES, BadWords, MinLength),
        *(Temperature, TopNSigma, TopK, TopP, MinP, Typical, Epsilon, Eta, Watermark),
    ),
    "vllm": (
        *(BadWords, MinLength, LogitBias, *_PENALTIES),
        *(Temperature, TopNSigma, MinP, TopK, TopP, Typical, Epsilon, Eta, Watermark),
    ),
    "llamacpp": (
        *(LogitBias, *_PENALTIES, BadWords, MinLength),
        *(TopNSigma, TopK, Typical, TopP, MinP, Epsilon, Eta, Temperature, Watermark),
    ),
}
"""The steps of each preset, from left to right."""


def steps_of(config: SamplingConfig, tokenizer: Tokenizer) -> list[Processor]:
    """Build the steps that settings ask for, in their order; those that change nothing are left out.

    Raises `ConfigError` for a word that names no token.
    """
    if config.watermark and (config.is_greedy or config.beams > 1):
        raise ConfigError(
            "a watermark marks what is drawn, and here nothing is: temperature=0 or beams",
            hint="leave out watermark, or draw",
        )
    steps = _looking_back(config, tokenizer)
    if not config.is_greedy and config.beams == 1:
        steps += _filters(config)
    return sorted(steps, key=lambda step: ORDERS[config.order].index(type(step)))


def _looking_back(config: SamplingConfig, tokenizer: Tokenizer) -> list[Processor]:
    """Return the steps that matter also where the likeliest token is taken."""
    steps: list[Processor] = []
    spare = words.spared(tokenizer, config.stop, config.stop_tokens)
    if config.logit_bias:
        found = words.biases(tokenizer, config.logit_bias)
        steps.append(LogitBias(tuple(found), tuple(found.values())))
    if config.repetition_penalty != 1:
        steps.append(RepetitionPenalty(config.repetition_penalty, config.repetition_window, spare=spare))
    if config.frequency_penalty:
        steps.append(FrequencyPenalty(config.frequency_penalty, spare))
    if config.presence_penalty:
        steps.append(PresencePenalty(config.presence_penalty, spare))
    if config.dry_multiplier:
        breakers = tuple(sorted({*spare, *words.breakers(tokenizer)}))
        steps.append(Dry(config.dry_multiplier, config.dry_base, config.dry_allowed, breakers))
    if config.no_repeat_ngram != "off":
        steps.append(NoRepeatNgram(config.no_repeat_ngram, spare))
    if config.bad_words:
        steps.append(BadWords(words.spellings(tokenizer, config.bad_words)))
    if config.min_tokens:
        stops = words.stop_tokens(tokenizer, config.stop_tokens)
        steps.append(MinLength(config.min_tokens, (tokenizer.end, *stops)))
    return steps


def _filters(config: SamplingConfig) -> list[Processor]:
    """Return the steps that shape a draw."""
    steps: list[Processor] = []
    if config.temperature != 1:
        steps.append(Temperature(config.temperature))
    if config.top_n_sigma != "off":
        steps.append(TopNSigma(config.top_n_sigma))
    if config.top_k != "off":
        steps.append(TopK(config.top_k))
    if config.top_p != 1:
        steps.append(TopP(config.top_p))
    if config.min_p:
        steps.append(MinP(config.min_p))
    if config.typical_p != 1:
        steps.append(Typical(config.typical_p))
    if config.epsilon:
        steps.append(Epsilon(config.epsilon))
    if config.eta:
        steps.append(Eta(config.eta))
    if config.watermark:
        steps.append(Watermark(read_key(config.watermark)))
    return steps
