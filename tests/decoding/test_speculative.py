import math

import pytest
import torch

from textus.config import replace
from textus.decoding.generate import collect, complete, generate
from textus.decoding.history import History
from textus.decoding.penalties import FrequencyPenalty, RepetitionPenalty
from textus.decoding.processors import Temperature, TopK
from textus.decoding.sampler import Places
from textus.decoding.speculative import Ngrams, SmallModel, with_guesses
from textus.decoding.strategy import Greedy, Sample
from textus.errors import ConfigError
from textus.model.transformer import Transformer

STRATEGIES = [
    Greedy(),
    Greedy(RepetitionPenalty(1.3)),
    Sample(Temperature(0.7)),
    Sample(FrequencyPenalty(0.5), Temperature(1.2), TopK(20)),
]


class Oracle:
    """Guess right until the fourth token, and then wrong: every place of a pass is met."""

    def __init__(self, text):
        self._text = text

    def begin(self, model, tokenizer):
        pass

    def guess(self, history, places, strategy, most):
        done = int(places.position)
        right = list(self._text[done : done + 4])
        wrong = [(token + 1) % 300 for token in self._text[done + 4 : done + 6]]
        return (right + wrong)[:most]


@pytest.fixture(scope="module")
def smaller(model):
    """Another model that often agrees with the first: the same one with some noise in its weights."""
    noisy = Transformer(model.config, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for mine, its in zip(noisy.parameters(), model.parameters(), strict=True):
            mine.copy_(its * (1 + 0.02 * torch.randn(its.shape, generator=generator)))
    return noisy.eval()


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: " ".join(strategy.describe()))
@pytest.mark.parametrize("prompt", ["", "the fox the fox the"])
def test_the_text_is_the_one_that_is_written_without_guesses(model, smaller, tokenizer, strategy, prompt):
    options = {"max_tokens": 40, "seed": 4}
    alone = complete(model, tokenizer, prompt, strategy, **options)
    for draft in (Ngrams(), Ngrams(longest=1, count=3), SmallModel(smaller, tokenizer), Oracle(alone.tokens)):
        ahead = complete(model, tokenizer, prompt, strategy, draft=draft, **options)
        assert ahead.tokens == alone.tokens
        assert ahead.logprobs == pytest.approx(alone.logprobs, abs=1e-3)
        assert (ahead.text, ahead.finish_reason) == (alone.text, alone.finish_reason)
    assert len(alone.tokens) > 20, "the context of 16 was to slide"


def test_several_texts_and_stops_are_those_without_guesses(model, smaller, tokenizer):
    options = {"n": 3, "max_tokens": 20, "seed": 2, "stop": ["e"]}
    alone = collect(generate(model, tokenizer, "fox", STRATEGIES[2], **options), 3)
    for draft in (Ngrams(), SmallModel(smaller, tokenizer)):
        ahead = collect(generate(model, tokenizer, "fox", STRATEGIES[2], draft=draft, **options), 3)
        assert [row.tokens for row in ahead] == [row.tokens for row in alone]
        assert [row.text for row in ahead] == [row.text for row in alone]


def test_right_guesses_save_passes(model, tokenizer, monkeypatch):
    text = complete(model, tokenizer, "the", Greedy(), max_tokens=12).tokens
    passes = []
    read = model.encode
    monkeypatch.setattr(model, "encode", lambda *a, **k: passes.append(1) or read(*a, **k))
    complete(model, tokenizer, "the", Greedy(), max_tokens=12, draft=Oracle(text))
    assert len(passes) <= 4 < len(text)


def test_what_is_written_comes_as_often_as_without_guesses(model, smaller, tokenizer):
    # Not by the very tokens, as above, but by counting: the second token's distribution over many seeds, beside the
    # exact one.
    strategy, size = Sample(Temperature(2.0), TopK(3)), 250
    prompt = [tokenizer.end, *tokenizer.encode("the")]
    with torch.no_grad():
        first = strategy.process(model(torch.tensor([prompt])).logits[:, -1], History.of([prompt[1:]]))[0].softmax(-1)
        exact = torch.zeros(tokenizer.vocab_size)
        for token in first.nonzero().flatten().tolist():
            if token == tokenizer.end:
                continue
            logits = model(torch.tensor([[*prompt, token]])).logits[:, -1]
            second = strategy.process(logits, History.of([[*prompt[1:], token]]))[0].softmax(-1)
            exact += first[token] * second
    draft = SmallModel(smaller, tokenizer, count=2)
    rows = collect(generate(model, tokenizer, prompt, strategy, max_tokens=2, n=size, seed=9, draft=draft), size)
    seen = torch.bincount(
        torch.tensor([row.tokens[1] if len(row.tokens) > 1 else tokenizer.end for row in rows]),
        minlength=tokenizer.vocab_size,
    )
    expected = exact * size
    likely = expected > 5
    chi_square = ((seen - expected)[likely] ** 2 / expected[likely]).sum().item()
    degrees = int(likely.sum())
    assert chi_square < degrees + 4 * math.sqrt(2 * degrees)
    assert seen[exact == 0].sum() <= seen[tokenizer.end]


def test_a_model_that_guesses_reads_nothing_twice(model, tokenizer):
    draft, total = SmallModel(model, tokenizer, count=3), 0
    read = model.encode

    def counted(tokens, *arguments, **options):
        nonlocal total
        total += tokens.shape[1]
        return read(tokens, *arguments, **options)

    wide = Transformer(replace(model.config, {"context_length": 128}), seed=3).eval()
    draft = SmallModel(wide, tokenizer, count=3)
    read = wide.encode
    wide.encode = counted
    complete(model, tokenizer, "the fox", Greedy(), max_tokens=10, draft=draft)
    assert total < 2 + 10 * 6, "each step reads what is new: at most the wrong guess, the right token and three ahead"


def test_a_draft_with_another_tokenizer_is_refused(model, tokenizer):
    other = type("Other", (), {"fingerprint": "x", "vocab_size": 300, "end": 0})()
    with pytest.raises(ConfigError, match="another tokenizer"):
        generate(model, tokenizer, "the", Greedy(), max_tokens=3, draft=SmallModel(model, other))


def test_ngrams_take_the_longest_run_where_it_stood_last():
    place = Places.of(0, [0], 0)

    def guess(tokens, most=2, **options):
        return Ngrams(**options).guess(History.of([tokens]), place, None, most)

    assert guess([1, 2, 8, 1, 2, 9, 1, 2]) == [9, 1]
    assert guess([3, 1, 2, 8, 1, 2, 9, 3, 1, 2]) == [8, 1]
    assert guess([3, 1, 2, 8, 1, 2, 9, 3, 1, 2], longest=2) == [9, 3]
    assert guess([1, 2, 3]) == []
    assert guess([]) == []
    assert guess([1]) == []
    assert guess([1, 1], most=5) == [1]


def test_each_guess_sees_those_before_it():
    rows = with_guesses(History.of([[7, 8]], written=[1]), [3, 4])
    assert [rows.row(number) for number in range(3)] == [([7], [8]), ([7], [8, 3]), ([7], [8, 3, 4])]
