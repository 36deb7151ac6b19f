import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.corpus.document import Document
from textus.errors import ConfigError, CorpusError, DivergenceError
from textus.evaluation.documents import frame
from textus.evaluation.perplexity import evaluate
from textus.model.transformer import Transformer
from textus.objectives.objective import IGNORE

CONTEXT = 16


def documents_of(lengths: list[int], vocab_size: int = 250) -> list[tuple[np.ndarray, int]]:
    numbers = np.random.default_rng(sum(lengths))
    return [(np.array([0, *numbers.integers(4, vocab_size, length), 0]), 2 * length) for length in lengths]


@torch.no_grad()
def one_at_a_time(model, documents, stride) -> float:
    """Predict every token from its own context, each in a pass of its own."""
    nats = 0.0
    for tokens, _ in documents:
        for target in range(1, len(tokens)):
            # The window that this token is new in begins at the least multiple of the stride that reaches it.
            begin = max(0, -(-(target - CONTEXT) // stride)) * stride
            logits = model(torch.from_numpy(tokens[None, begin:target])).logits[0, -1]
            nats -= logits.double().log_softmax(-1)[tokens[target]].item()
    return nats


@torch.no_grad()
def as_transformers_documents_it(model, documents, stride) -> float:
    """Sum nats by the loop of transformers' page "Perplexity of fixed-length models", over CONTEXT + 1 tokens."""
    nats = 0.0
    for tokens, _ in documents:
        sequence, previous_end = torch.from_numpy(tokens)[None], 0
        for begin in range(0, sequence.shape[1], stride):
            end = min(begin + CONTEXT + 1, sequence.shape[1])
            target_length = end - previous_end
            inputs = sequence[:, begin:end]
            labels = inputs.clone()
            labels[:, :-target_length] = IGNORE
            logits = model(inputs[:, :-1]).logits
            nats += torch.nn.functional.cross_entropy(
                logits[0].double(), labels[0, 1:], ignore_index=IGNORE, reduction="sum"
            ).item()
            previous_end = end
            if end == sequence.shape[1]:
                break
    return nats


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    st.integers(1, CONTEXT),
    st.sampled_from([1, 3, 8]),
)
@settings(max_examples=25)
def test_every_token_is_scored_once_from_the_context_it_should_have(model, tokenizer, lengths, stride, batch_rows):
    documents = documents_of(lengths)
    found = evaluate(model, tokenizer, documents, data="data", stride=stride, batch_rows=batch_rows)
    assert found.tokens == sum(length + 1 for length in lengths)
    nats = found.score("loss").value * found.tokens
    assert nats == pytest.approx(one_at_a_time(model, documents, stride), rel=1e-5)


@pytest.mark.parametrize("stride", [1, 5, 8, 15, 16])
def test_it_equals_the_loop_that_transformers_documents(model, tokenizer, stride):
    documents = documents_of([100, 3, 16, 17, 15, 31])
    found = evaluate(model, tokenizer, documents, data="data", stride=stride)
    nats = found.score("loss").value * found.tokens
    assert nats == pytest.approx(as_transformers_documents_it(model, documents, stride), rel=1e-5)


def test_sums_by_document_do_not_depend_on_the_batches(model, tokenizer):
    documents = documents_of([*range(0, 75, 3)])
    one, many = (
        evaluate(model, tokenizer, documents, data="data", stride=5, batch_rows=rows).units.nats for rows in (1, 7)
    )
    assert len(one) == len(documents)
    assert one == pytest.approx(many, rel=1e-5)
    singly = [evaluate(model, tokenizer, [d], data="data", stride=5).units.nats.sum() for d in documents[1:]]
    assert one[1:] == pytest.approx(singly, rel=1e-5)


def test_bits_per_byte_divide_all_nats_by_the_bytes_of_the_text(model, tokenizer):
    texts = ["Der schnelle Fuchs springt über den Hund 🦊.", "naïve café", "the dog " * 9]
    documents = [frame(tokenizer, Document(text, "here")) for text in texts]
    found = evaluate(model, tokenizer, documents, data="data", stride=8)
    assert found.num_bytes == sum(len(text.encode()) for text in texts)
    bits = found.score("loss").value * found.tokens / math.log(2) / found.num_bytes
    assert found.score("bits_per_byte").value == pytest.approx(bits)
    assert found.score("perplexity").value == pytest.approx(math.exp(found.score("loss").value))


def test_a_model_that_knows_nothing_has_the_vocabulary_as_perplexity(model, tokenizer):
    blank = Transformer(model.config)
    torch.nn.init.zeros_(blank.head.weight)
    found = evaluate(blank, tokenizer, documents_of([40] * 25), data="data", stride=16)
    assert found.score("perplexity").value == pytest.approx(model.config.vocab_size, rel=1e-5)
    assert found.score("perplexity").error == pytest.approx(0, abs=1e-3)


def test_more_context_is_never_less_overlap(model, tokenizer):
    short, long = documents_of([CONTEXT - 1]), documents_of([CONTEXT * 4])
    losses = {
        stride: [evaluate(model, tokenizer, d, data="d", stride=stride).score("loss").value for d in (short, long)]
        for stride in (1, CONTEXT)
    }
    assert losses[1][0] == losses[CONTEXT][0], "a document within the context has one window"
    assert losses[1][1] != losses[CONTEXT][1]


def test_the_logits_are_made_in_parts(model, tokenizer, monkeypatch):
    documents = documents_of([100, 30, 7])
    whole = evaluate(model, tokenizer, documents, data="data", stride=7)
    monkeypatch.setattr("textus.evaluation.perplexity.rows_at_once", lambda device, vocab_size: 3)
    parts = evaluate(model, tokenizer, documents, data="data", stride=7)
    assert parts.units.nats == pytest.approx(whole.units.nats, rel=1e-6)


def test_documents_may_come_from_a_generator_and_as_small_integers(model, tokenizer):
    documents = documents_of([30, 12])
    small = ((tokens.astype(np.uint16), size) for tokens, size in documents)
    found = evaluate(model, tokenizer, small, data="data", stride=16)
    assert np.array_equal(found.units.nats, evaluate(model, tokenizer, documents, data="data", stride=16).units.nats)


def test_dropout_is_off_while_measuring_and_on_again_afterwards(model, tokenizer):
    documents = documents_of([50])
    model.train()
    try:
        first, second = (evaluate(model, tokenizer, documents, data="data", stride=16) for _ in range(2))
        assert model.training
        assert first.scores == second.scores
    finally:
        model.eval()


def test_half_precision_is_close(model, tokenizer):
    documents = documents_of([50] * 4)
    exact, half = (
        evaluate(model, tokenizer, documents, data="data", stride=16, precision=precision).score("loss").value
        for precision in ("fp32", "bf16")
    )
    assert half == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize("stride", [0, -1, CONTEXT + 1])
def test_a_stride_outside_the_context_is_refused(model, tokenizer, stride):
    with pytest.raises(ConfigError, match="stride"):
        evaluate(model, tokenizer, documents_of([3]), data="data", stride=stride)


def test_a_model_that_reads_both_ways_has_no_perplexity(model, tokenizer):
    both = Transformer(replace(model.config, {"attention": "bidirectional", "prediction_offset": 0}))
    with pytest.raises(ConfigError, match="left to right"):
        evaluate(both, tokenizer, documents_of([3]), data="data", stride=1)


def test_a_tokenizer_of_another_model_is_refused(model, tokenizer):
    smaller = Transformer(replace(model.config, {"vocab_size": 100}))
    with pytest.raises(ConfigError, match="the model knows 100"):
        evaluate(smaller, tokenizer, documents_of([3]), data="data", stride=1)


def test_damaged_weights_are_said_to_be_damaged(model, tokenizer):
    broken = Transformer(model.config)
    with torch.no_grad():
        broken.norm.weight[0] = math.nan
    with pytest.raises(DivergenceError, match="not a number in document 1"):
        evaluate(broken, tokenizer, documents_of([3]), data="data", stride=1)


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_no_text_is_an_error(model, tokenizer, lengths):
    with pytest.raises(CorpusError, match="no text"):
        evaluate(model, tokenizer, documents_of(lengths), data="data", stride=1)
