from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.adaptation.config import SplitConfig
from textus.adaptation.parts import divided
from textus.errors import CorpusError


@dataclass(frozen=True)
class One:
    key: str
    label: int = 0


@given(st.lists(st.text("abc", max_size=4), min_size=4), st.integers(0, 3), st.randoms())
def test_no_text_stands_on_two_sides_and_order_plays_no_part(keys, seed, draw):
    examples = [One(key, number) for number, key in enumerate(keys)]
    config = SplitConfig(split_seed=seed, test_fraction=0.3)
    if len(set(keys)) < 3:
        with pytest.raises(CorpusError, match="too few"):
            divided(examples, [], config)
        return
    parts = divided(examples, [], config)
    sides = [{one.key for one in part} for part in (parts.train, parts.choice, parts.test)]
    assert sum(map(len, sides)) == len(set(keys)) == len(set.union(*sides))
    assert sorted(one.label for part in (parts.train, parts.choice, parts.test) for one in part) == list(
        range(len(keys))
    )
    assert len(sides[2]) == max(1, round(0.3 * len(set(keys))))
    draw.shuffle(examples)
    again = divided(examples, [], config)
    assert [{one.key for one in part} for part in (again.train, again.choice, again.test)] == sides


def test_training_texts_that_the_test_repeats_are_left_out_and_counted():
    parts = divided([One(key) for key in "abcdefgh"], [One("a", 1), One("z")], SplitConfig())
    assert parts.leaked == 1 and "a" not in {one.key for one in parts.train + parts.choice}
    assert parts.sizes == {"train": 6, "choice": 1, "test": 2, "left_out": 1}


def test_nothing_left_to_learn_from_is_told():
    with pytest.raises(CorpusError, match="none is left to learn from"):
        divided([One("a")], [One("a")], SplitConfig())
