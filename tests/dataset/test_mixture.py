from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textus
from textus.dataset import mixture
from textus.dataset.config import MixtureConfig
from textus.dataset.mixture import by_temperature, mix, pattern, turns
from textus.dataset.pack import Windows
from textus.dataset.selection import Selection
from textus.dataset.shard import ShardWriter, TokenShard
from textus.dataset.split import TokenSplit
from textus.errors import ConfigError
from textus.progress import SILENT

COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=7)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> TokenSplit:
    """Two files of documents; document d consists of tokens 100 d + 1, 100 d + 2, ..."""
    folder, shards, number = tmp_path_factory.mktemp("mixture"), [], 0
    for name, sizes in (("a", [30, 5, 70, 1]), ("b", [12, 90, 0, 44, 8])):
        with ShardWriter(folder / name, 2000, "tokenizer", 0) as writer:
            for size in sizes:
                writer.append(str(number), np.arange(100 * number + 1, 100 * number + 1 + size, dtype=np.uint32), size)
                number += 1
        shards.append(TokenShard.open(folder / name))
    return TokenSplit("train", shards, "data")


NAMES = [["law"], ["law"], ["code"], ["code"], ["law"], ["talk"], ["talk"], ["law"], ["code"]]


def mixed(split: TokenSplit, *weights: str, seed: int = 1, temperature: float = 1.0) -> mixture.Mixture:
    return mix(split, NAMES, MixtureConfig(weights=weights, temperature=temperature), 8, 1, seed)


@given(COUNTS)
def test_no_source_is_ever_a_whole_window_from_its_share(weights):
    shown, total = [0] * len(weights), sum(weights)
    for turn, source in enumerate(itertools.chain(pattern(weights), pattern(weights)), 1):
        shown[source] += 1
        assert all(abs(count * total - turn * weight) < total for count, weight in zip(shown, weights, strict=True))
    assert shown == [2 * weight for weight in weights]


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9))
def test_turns_are_the_weights_as_nearly_as_a_pattern_allows(weights):
    found = turns(weights)
    assert len(found) == len(weights) and min(found) >= 1 and sum(found) <= mixture.MOST_TURNS
    for weight, count in zip(weights, found, strict=True):
        assert count / sum(found) == pytest.approx(weight / sum(weights), abs=len(weights) / mixture.MOST_TURNS)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 50))
def test_whole_weights_are_exact(weights, scale):
    found = turns([weight * scale / 100 for weight in weights])
    assert [count * sum(weights) for count in found] == [weight * sum(found) for weight in weights]


def test_each_source_comes_in_its_own_order_and_any_start_equals_a_replay(split):
    made = mixed(split, "law=0.5", "code=0.3", "talk=0.2")
    which, inside = made.places(np.arange(500))
    replayed: Counter[int] = Counter()
    for source, number in zip(which.tolist(), inside.tolist(), strict=True):
        assert number == replayed[source]
        replayed[source] += 1
    assert [replayed[source] for source in range(3)] == [250, 150, 100]
    for start in (0, 1, 7, 333):
        later = made.places(np.arange(start, 500))
        assert (later[0] == which[start:]).all() and (later[1] == inside[start:]).all()
    far = made.places([10**15])
    assert far[1][0] == pytest.approx(10**15 * made.weights[far[0][0]])


def test_rows_are_the_sources_windows(split):
    made = mixed(split, "law=2", "code=1", "talk=1")
    numbers = [5, 0, 11, 2, 3, 100]
    rows = made.rows(numbers)
    which, inside = made.places(numbers)
    for row, (source, number) in enumerate(zip(which.tolist(), inside.tolist(), strict=True)):
        expected = made.windows[source].rows([number])
        assert (rows.tokens[row] == expected.tokens[0]).all() and (rows.predict[row] == expected.predict[0]).all()
        assert (rows.documents[row] == expected.documents[0]).all()
        told = [split.document(one.document)[one.start : one.stop] for one in made.sources(numbers[row])]
        assert np.concatenate(told).tolist() == rows.tokens[row].tolist()[: sum(map(len, told))]
        names = {NAMES[one.document][0] for one in made.sources(numbers[row])}
        assert names == {made.names[source]}
    assert (made.time, made.per_epoch) == (9, sum(windows.per_epoch for windows in made.windows))


def test_epochs_count_what_was_shown(split):
    made = mixed(split, "law=2", "code=1", "talk=1")
    for num_windows in (0, 1, 5, 83):
        which, _ = made.places(np.arange(num_windows))
        for source, name in enumerate(made.names):
            per_epoch = made.windows[source].per_epoch
            assert made.epochs(num_windows)[name] == (which == source).sum() / per_epoch


def test_the_proportions_are_part_of_the_fingerprint(split):
    found = {
        mixed(split, *weights).split.data_fingerprint for weights in (("law=1", "others=1"), ("law=2", "others=1"))
    }
    assert len(found | {split.data_fingerprint}) == 3
    assert (
        mixed(split, "law=1", "others=2").split.data_fingerprint
        == mixed(split, "law=2", "others=4").split.data_fingerprint
    )


def test_temperature(split):
    assert by_temperature({"a": 9, "b": 4}, 1.0) == {"a": 9.0, "b": 4.0}
    assert by_temperature({"a": 9, "b": 4}, 2.0) == pytest.approx({"a": 3.0, "b": 2.0})
    made = mixed(split, temperature=3.0)
    assert made.names == ("law", "code", "talk")
    sizes = [windows.split.num_tokens for windows in made.windows]
    assert sum(sizes) == split.num_tokens
    assert made.weights == pytest.approx([size ** (1 / 3) for size in sizes])
    assert MixtureConfig().is_off and not MixtureConfig(temperature=2.0).is_off


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        (["law"], "holds 'law'"),
        (["law=0"], "holds 'law=0'"),
        (["law=nan"], "holds 'law=nan'"),
        (["=1"], "holds '=1'"),
        (["law=1", "law=2"], "holds 'law=2'"),
        (["law=1"], "has none for 'code'"),
        (["law=1", "others=1", "lore=2"], "no training text is of 'lore'"),
    ],
)
def test_weights_that_mean_nothing_are_refused(split, weights, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        mixed(split, *weights)
    assert caught.value.hint


@given(st.data())
def test_a_selection_is_the_documents_by_themselves(split, data):
    chosen = data.draw(st.lists(st.integers(0, split.num_documents - 1), min_size=1, max_size=6, unique=True))
    part = Selection(split, "some", chosen)
    whole = np.concatenate([split.document(document) for document in chosen])
    assert part.tokens(0, part.num_tokens).tolist() == whole.tolist()
    assert (part.num_documents, part.num_tokens) == (len(chosen), len(whole))
    assert part.num_bytes == sum(split.document_bytes[document] for document in chosen)
    assert [part.document(index).tolist() for index in range(len(chosen))] == [
        split.document(document).tolist() for document in chosen
    ]
    positions = np.array(data.draw(st.lists(st.integers(0, part.num_tokens - 1), max_size=9)), np.int64)
    assert part.take(positions).tolist() == whole[positions].tolist()


def test_selections_of_other_documents_have_other_fingerprints(split):
    assert Selection(split, "a", [0, 1]).data_fingerprint != Selection(split, "a", [1, 0]).data_fingerprint


def test_one_source_alone_is_its_windows(split):
    alone = mix(split, [["all"]] * 9, MixtureConfig(weights=("all=1",)), 8, 1, 3)
    numbers = np.arange(40)
    assert (alone.rows(numbers).tokens == Windows(split, 8, 1, 3).rows(numbers).tokens).all()


class Heard:
    """A progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def task(self, name: str, total: float, unit: str) -> Any:
        return SILENT.task(name, total, unit)


def test_a_run_is_trained_on_a_mixture_and_says_so(desk: Any) -> None:
    small = {"training.steps": 2, "training.threads": 1, "training.batch_tokens": 128, "model.context_length": 32}
    small |= {"model.num_layers": 1, "model.hidden_size": 32, "training.evaluate_tokens": 256, "training.seed": 1}
    heard = Heard()
    settings = {**small, "sampling.max_tokens": 4, "mixture.weights": ("my_texts=1", "notes=3")}
    textus.train(["my_texts", "notes.md"], out="runs/mixed", settings=settings, progress=heard)
    (told,) = [words for words in heard.said if words.startswith("mixture")]
    assert "my_texts 25.0% of the windows" in told and "notes 75.0% of the windows" in told
    with pytest.raises(ConfigError, match="no training text is of 'law'"):
        textus.train(["my_texts"], out="runs/other", settings={**settings, "mixture.weights": ("law=1", "others=1")})
