from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.dataset.pack import Windows
from textus.dataset.shard import DataHash, ShardWriter, TokenShard
from textus.dataset.split import TokenSplit
from textus.dataset.window import PADDING, Window
from textus.errors import CorpusError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.masked import Masked
from textus.objectives.objective import IGNORE

GENERATOR = torch.Generator()
CONTEXT = 40


@pytest.fixture(scope="module")
def split(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> TokenSplit:
    """Thirty documents of words in several pieces, END on both sides."""
    draw, path = np.random.Generator(np.random.Philox(5)), tmp_path_factory.mktemp("masked") / "train.tokens"
    with ShardWriter(path, tokenizer.vocab_size, tokenizer.fingerprint, 0) as writer:
        for number in range(30):
            words = draw.choice(["the", "loom", "weft", "wool", "12345", "wove", "n't"], size=int(draw.integers(2, 40)))
            text = " ".join(words)
            writer.append(str(number), np.array(tokenizer.encode(text)), len(text))
    return TokenSplit("train", [TokenShard.open(path)], DataHash.of(map(str, range(30))))


def window_of(split: TokenSplit, offset: int, rows: int = 6, first: int = 0) -> Window:
    return Windows(split, CONTEXT, offset, seed=3).rows(range(first, first + rows))  # type: ignore[arg-type]


OPTIONS = st.fixed_dictionaries(
    {
        "rate": st.floats(0.05, 1.0),
        "unit": st.sampled_from(["token", "word", "span"]),
        "longest_span": st.integers(1, 5),
        "masked_share": st.sampled_from([0.0, 0.8, 1.0]),
        "balance": st.booleans(),
        "seed": st.integers(0, 2**63),
        "prediction_offset": st.sampled_from([0, 1]),
    }
)


@settings(max_examples=60)
@given(options=OPTIONS, first=st.integers(0, 60))
def test_rows_are_asked_for_exactly_their_share_and_never_for_a_special_token(
    split: Any, vocabulary: Any, options: Any, first: int
) -> None:
    offset = options["prediction_offset"]
    window = window_of(split, offset, first=first)
    batch = Masked(vocabulary, random_share=1 - options["masked_share"], **options).batch(window, GENERATOR)
    asked, original = batch.labels != IGNORE, window.tokens[:, : CONTEXT + offset - offset]
    labels = batch.labels[asked].numpy()
    assert not vocabulary.is_special[labels].any()
    # exactly the share of the row's text; less only where so much may not be asked
    special = torch.from_numpy(vocabulary.is_special)[window.tokens]
    may = (window.predict & ~special).sum(1)
    whole = (window.documents[:, offset:] != PADDING).sum(1)
    wanted = (options["rate"] * whole).round().clamp(min=1).long()
    assert torch.equal(batch.labelled_rows(), torch.minimum(wanted, may))
    assert batch.count == batch.num_labels == int(asked.sum())
    # what is asked is what stood there
    there = window.tokens[:, offset:] if offset else window.tokens
    assert torch.equal(batch.labels[asked], there[asked])
    # what has changed is hidden, and nothing special has come or gone but `<mask>`
    changed = batch.tokens != original
    assert not (changed & torch.from_numpy(vocabulary.is_special)[original]).any()
    new = batch.tokens[changed].numpy()
    assert set(new[vocabulary.is_special[new]].tolist()) <= {vocabulary.mask}
    if options["masked_share"] == 0:
        assert not (batch.tokens == vocabulary.mask).any()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), rate=st.floats(0.1, 0.9))
def test_words_are_hidden_whole_or_not_at_all(split: Any, vocabulary: Any, seed: int, rate: float) -> None:
    window = window_of(split, 0)
    objective = Masked(vocabulary, rate=rate, unit="word", masked_share=1.0, random_share=0.0, seed=seed)
    batch = objective.batch(window, GENERATOR)
    hidden = (batch.tokens == vocabulary.mask).numpy()
    for row, tokens, predict in zip(hidden, window.tokens.numpy(), window.predict.numpy(), strict=True):
        starts = np.flatnonzero(vocabulary.word_starts(tokens))
        for word in np.split(np.arange(len(tokens)), starts[1:]):
            word = word[predict[word]]
            assert len(set(row[word].tolist())) <= 1, tokens[word]
        assert len(starts) > 4, "words are found, not one a row"


def test_spans_are_no_longer_than_they_may_be_and_some_are_as_long(split: Any, vocabulary: Any) -> None:
    objective = Masked(vocabulary, rate=0.1, unit="span", longest_span=3, masked_share=1.0, random_share=0.0)
    hidden = (objective.batch(window_of(split, 0, rows=20), GENERATOR).tokens == vocabulary.mask).numpy()
    runs = [len(run) for row in hidden for run in "".join("x" if is_hidden else " " for is_hidden in row).split()]
    # two spans may meet, three hardly
    assert max(runs) <= 9 and runs.count(3) > runs.count(6) and 1 in runs and 2 in runs


def test_what_takes_a_place_is_shared_out_as_said(split: Any, vocabulary: Any) -> None:
    objective = Masked(vocabulary, rate=0.5, masked_share=0.6, random_share=0.3)
    window = window_of(split, 0, rows=200)
    batch = objective.batch(window, GENERATOR)
    asked = batch.labels != IGNORE
    new, old = batch.tokens[asked], window.tokens[asked]
    shares = [(new == vocabulary.mask).float().mean(), ((new != old) & (new != vocabulary.mask)).float().mean()]
    assert shares == pytest.approx([0.6, 0.3], abs=0.03)
    assert torch.equal(batch.tokens[~asked], window.tokens[~asked])


def test_every_token_is_asked_about_as_often_as_every_other(split: Any, vocabulary: Any) -> None:
    def spread(balance: bool) -> tuple[float, float]:
        windows, asked = Windows(split, CONTEXT, 0, seed=3), np.zeros(split.num_tokens)
        objective = Masked(vocabulary, rate=0.2, balance=balance)
        for epoch in range(20):
            window = windows.rows(range(epoch * windows.per_epoch, (epoch + 1) * windows.per_epoch))
            batch = objective.batch(window, GENERATOR)
            assert window.origin is not None
            np.add.at(asked, window.origin.places[batch.labels != IGNORE].numpy(), 1)
        may = ~vocabulary.is_special[split.tokens(0, split.num_tokens)]
        return float(asked[may].mean()), float(asked[may].std())

    (mean, even), (same, by_chance) = spread(True), spread(False)
    assert mean == pytest.approx(same, rel=0.02)
    assert by_chance == pytest.approx((20 * 0.2 * 0.8) ** 0.5, rel=0.15)  # binomial
    assert even < 0.65 * by_chance  # rows of 40 tokens, each with its own exact count, cannot be quite even


def test_the_rate_falls_evenly_and_stays_where_it_ends(vocabulary: Any) -> None:
    objective = Masked(vocabulary, rate=0.3, final_rate=0.15, over=100)
    assert objective.rate_at(np.array([0, 50, 100, 1000])).tolist() == pytest.approx([0.3, 0.225, 0.15, 0.15])
    assert dataclasses.replace(objective, vocabulary=vocabulary, over=0).rate_at(np.array([7])).tolist() == [0.3]
    # the coverage that balancing goes by is the integral of that
    one = np.ones((1, 1), np.int64)
    covered = [float(objective._covered(epochs * one, 10 * one)[0, 0]) for epochs in range(20)]
    exact = np.concatenate([[0], np.cumsum(objective.rate_at(np.arange(0, 200, 0.01)))])[::1000] / 1000
    assert covered == pytest.approx(exact[:20].tolist(), abs=1e-3)


def test_what_is_hidden_depends_on_the_window_alone(split: Any, vocabulary: Any) -> None:
    objective = Masked(vocabulary, rate=0.3, unit="word", over=50)
    together = objective.batch(window_of(split, 0, rows=8), GENERATOR)
    for row in range(8):
        alone = objective.batch(window_of(split, 0, rows=1, first=row), torch.Generator().manual_seed(row))
        assert torch.equal(alone.tokens[0], together.tokens[row])
        assert torch.equal(alone.labels[0], together.labels[row])
    per_epoch = Windows(split, CONTEXT, 0, seed=3).per_epoch
    later = objective.batch(window_of(split, 0, rows=8, first=per_epoch), GENERATOR)
    assert not torch.equal(later.labels, together.labels)


def test_without_an_origin_the_generator_decides(split: Any, vocabulary: Any) -> None:
    window = dataclasses.replace(window_of(split, 1), origin=None)
    objective = Masked(vocabulary, prediction_offset=1)
    batches = [objective.batch(window, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(batches[0].tokens, batches[1].tokens)
    assert not torch.equal(batches[0].tokens, batches[2].tokens)


def test_measured_is_always_the_same_fifteen_percent(split: Any, vocabulary: Any) -> None:
    questions = [
        Masked(vocabulary, rate=0.6, unit="word", seed=7, over=9).validation(),
        Masked(vocabulary, rate=0.2, balance=False, random_share=0.0).validation(),
    ]
    first, second = (question.batch(window_of(split, 0), GENERATOR) for question in questions)
    assert torch.equal(first.tokens, second.tokens) and torch.equal(first.labels, second.labels)
    assert set(first.labelled_rows().tolist()) == {round(0.15 * CONTEXT)}


def test_padding_is_neither_asked_nor_hidden(split: Any, vocabulary: Any) -> None:
    windows = Windows(split, CONTEXT, 0, seed=3)
    window = windows.rows(range(windows.per_epoch))
    padded = window.documents == PADDING
    assert padded.any()
    batch = Masked(vocabulary, rate=1.0).batch(window, GENERATOR)
    assert (batch.labels[padded] == IGNORE).all() and torch.equal(batch.tokens[padded], window.tokens[padded])


def test_nothing_but_special_tokens_is_refused(vocabulary: Any) -> None:
    window = Window(torch.zeros(2, 5, dtype=torch.long), torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 5).bool())
    with pytest.raises(CorpusError, match="asks for no prediction"):
        Masked(vocabulary).batch(window, GENERATOR)


@pytest.mark.parametrize("offset", [0, 1])
def test_the_loss_is_that_of_a_plain_loop(split: Any, vocabulary: Any, offset: int) -> None:
    shape = {"family": "modernbert", "num_kv_heads": 2} if offset == 0 else {"num_kv_heads": 1}
    config = ModelConfig(
        vocab_size=len(vocabulary.is_special),
        context_length=CONTEXT,
        num_layers=2,
        hidden_size=16,
        num_heads=2,
        head_size=8,
        intermediate_size=24,
        attention="bidirectional",
        prediction_offset=offset,  # type: ignore[arg-type]
        **shape,  # type: ignore[arg-type]
    )
    model = Transformer(config, seed=1)
    objective = Masked(vocabulary, prediction_offset=offset)  # type: ignore[arg-type]
    batch = objective.batch(window_of(split, offset), GENERATOR)
    loss = objective.loss(model, batch)
    total = torch.zeros(())
    for row in range(len(batch.tokens)):
        documents = torch.zeros_like(batch.tokens[row]) if batch.documents is None else batch.documents[row]
        for document in documents.unique():
            here = (documents == document).nonzero().squeeze(1)
            logits = model(batch.tokens[row, here][None]).logits[0]
            labels = batch.labels[row, here]
            for position in range(len(here)):
                if labels[position] != IGNORE:
                    total = total + functional.cross_entropy(logits[position], labels[position])
    assert loss.total.item() == pytest.approx(total.item(), rel=1e-5)
    mine = torch.autograd.grad(loss.total, list(model.parameters()))
    theirs = torch.autograd.grad(total, list(model.parameters()))
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-4, rtol=1e-3)
