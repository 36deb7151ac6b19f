from __future__ import annotations

import pickle
import re

import pytest

from textus import errors
from textus.errors import ConfigError, DivergenceError, Interrupted, NotComparable, TextusError

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TextusError)]


def test_the_drawn_tree_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"^[│├└─ ]*([A-Z]\w+) ", errors.__doc__.partition("```")[2], re.M))
    assert drawn == {kind.__name__ for kind in TREE}


@pytest.mark.parametrize("kind", TREE)
def test_an_error_is_one_sentence_and_a_hint(kind: type[TextusError]) -> None:
    assert str(kind("what is wrong")) == "what is wrong"
    error = kind("what is wrong", hint="what to do")
    assert str(error) == "what is wrong\n\nhint: what to do"
    assert (error.message, error.hint) == ("what is wrong", "what to do")


@pytest.mark.parametrize("kind", TREE)
def test_an_error_crosses_to_another_process_whole(kind: type[TextusError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", hint="do")))
    assert (type(error), error.message, error.hint, error.exit_code) == (kind, "what", "do", kind("").exit_code)


def test_exit_codes() -> None:
    assert ConfigError("").exit_code == 2
    assert DivergenceError("").exit_code == NotComparable("").exit_code == 1
    assert [Interrupted("", signal_number=number).exit_code for number in (2, 15)] == [130, 143]
    assert pickle.loads(pickle.dumps(Interrupted("", signal_number=15))).exit_code == 143
