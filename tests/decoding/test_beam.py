import itertools

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from textus.checkpoint.families import to_config, to_weights
from textus.config import replace
from textus.decoding.beam import search
from textus.decoding.generate import complete
from textus.decoding.penalties import NoRepeatNgram
from textus.decoding.piece import collect
from textus.decoding.strategy import Greedy
from textus.errors import ConfigError
from textus.model.transformer import Transformer


@pytest.fixture(scope="module")
def narrow(model):
    """Few tokens and END among the likely ones, so that texts end at many lengths."""
    small = Transformer(replace(model.config, {"vocab_size": 12, "context_length": 64}), seed=2)
    with torch.no_grad():
        for parameter in small.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return small.eval()


class Twelve:
    """The first tokens of a tokenizer."""

    vocab_size, end, special = 12, 0, frozenset({0})

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)


@pytest.fixture(scope="module")
def few(tokenizer):
    return Twelve(tokenizer)


@pytest.fixture(scope="module")
def theirs(narrow):
    model = Qwen3ForCausalLM(Qwen3Config(**to_config(narrow.config, {"eos_token_id": 0}, "float32"))).eval()
    model.load_state_dict(to_weights(narrow.state_dict(), narrow.config), strict=False)
    return model


def ours(model, tokenizer, prompt, n=1, strategy=None, **options):
    pieces = search(model, tokenizer, prompt, strategy or Greedy(), n=n, **options)
    return collect(pieces, n)


@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.5, -1.0])
def test_it_finds_the_texts_of_transformers(narrow, few, theirs, beams, length_penalty):
    for prompt in ([5], [3, 7, 9]):
        found = theirs.generate(
            torch.tensor([[0, *prompt]]),
            attention_mask=torch.ones(1, len(prompt) + 1, dtype=torch.int64),
            num_beams=beams,
            num_return_sequences=beams,
            length_penalty=length_penalty,
            max_new_tokens=9,
            do_sample=False,
            eos_token_id=0,
            pad_token_id=0,
            early_stopping=False,
        )
        expected = [row[len(prompt) + 1 :].tolist() for row in found]
        options = {"beams": beams, "length_penalty": length_penalty, "max_tokens": 9}
        for completion, tokens in zip(ours(narrow, few, prompt, n=beams, **options), expected, strict=True):
            written = [*completion.tokens, 0] if completion.finish_reason == "end" else list(completion.tokens)
            assert written == tokens[: len(written)]
            assert set(tokens[len(written) :]) <= {0}


def test_processors_that_forbid_work_as_in_transformers(narrow, few, theirs):
    found = theirs.generate(
        torch.tensor([[0, 5, 6]]),
        attention_mask=torch.ones(1, 3, dtype=torch.int64),
        num_beams=3,
        max_new_tokens=8,
        do_sample=False,
        no_repeat_ngram_size=1,
        bad_words_ids=[[0]],
        eos_token_id=11,
        pad_token_id=0,
    )
    from textus.decoding.bans import BadWords

    strategy = Greedy(NoRepeatNgram(1), BadWords(((0,),)))
    (written,) = ours(narrow, few, [5, 6], strategy=strategy, beams=3, max_tokens=8, stop_tokens=[11])
    assert list(written.tokens) == found[0, 3:].tolist()


def test_enough_beams_find_the_likeliest_of_all_texts(narrow, few):
    texts = itertools.product(range(1, 12), repeat=3)
    with torch.no_grad():
        rows = torch.tensor([[0, 5, *text] for text in texts])
        logprobs = narrow(rows).logits[:, 1:-1].log_softmax(-1).gather(2, rows[:, 2:, None]).sum((1, 2))
    from textus.decoding.bans import BadWords

    options = {"strategy": Greedy(BadWords(((0,),))), "beams": 200, "max_tokens": 3}
    (written,) = ours(narrow, few, [5], **options)
    assert list(written.tokens) == rows[logprobs.argmax(), 2:].tolist()
    assert sum(written.logprobs) == pytest.approx(logprobs.max().item(), abs=1e-4)


def test_one_beam_is_greedy(model, tokenizer):
    (found,) = ours(model, tokenizer, "the quick", beams=1, max_tokens=30)
    wanted = complete(model, tokenizer, "the quick", Greedy(), max_tokens=30)
    assert (found.text, found.tokens, found.finish_reason) == (wanted.text, wanted.tokens, wanted.finish_reason)
    # a search reads its rows otherwise than the engine does: the sums are rounded in another order
    assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-5)


def test_a_stop_string_ends_a_text_and_is_not_part_of_it(model, tokenizer):
    (free,) = ours(model, tokenizer, "the", beams=3, max_tokens=12)
    stop = free.text[4:6]
    (found,) = ours(model, tokenizer, "the", beams=3, max_tokens=12, stop=[stop])
    assert stop not in found.text


def test_more_texts_than_beams_are_refused(model, tokenizer):
    with pytest.raises(ConfigError, match="3 texts of 2 beams"):
        search(model, tokenizer, "the", Greedy(), beams=2, n=3, max_tokens=4)
