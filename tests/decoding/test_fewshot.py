import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.decoding.fewshot import Example, Template, choose_examples
from textus.errors import ConfigError

EXAMPLES = [Example(f"question {number}", f"answer {number}") for number in range(9)]


WORDS = st.text("ab{}|input out", max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=3), WORDS)
def test_braces_and_all_else_come_through_as_they_are(pairs, question):
    examples = [Example(*pair) for pair in pairs]
    prompt = Template("<{input}|{output}>").prompt(examples, question)
    assert prompt == "".join(f"<{e.input}|{e.output}>" for e in examples) + f"<{question}|"


def test_the_prompt_ends_where_the_answer_begins():
    template = Template()
    assert template.prompt(EXAMPLES[:1], "why?") == "question 0\nanswer 0\n\nwhy?\n"
    assert template.ending == "\n\n"


@pytest.mark.parametrize("text", ["", "{input}", "{output}{input}", "{input}{input}{output}"])
def test_a_template_without_its_two_places_is_refused(text):
    with pytest.raises(ConfigError, match="once each"):
        Template(text)


def test_fixed_examples_are_the_first_and_random_ones_depend_on_the_seed_alone():
    assert choose_examples(EXAMPLES, "a", 2) == EXAMPLES[:2]
    first = choose_examples(EXAMPLES, "a", 4, "random", seed=3)
    assert first == choose_examples(EXAMPLES, "b", 4, "random", seed=3)
    assert first != choose_examples(EXAMPLES, "a", 4, "random", seed=4)
    assert len({example.input for example in first}) == 4


@given(st.integers(0, 99), st.integers(1, 9))
def test_the_nearest_are_those_of_the_highest_cosine_and_the_nearest_of_all_comes_last(seed, count):
    generator = np.random.default_rng(seed)
    vectors = {example.input: generator.normal(size=5) for example in EXAMPLES} | {"q": generator.normal(size=5)}

    def cosine(example):
        a, b = vectors[example.input], vectors["q"]
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    def embed(texts):
        return np.stack([vectors[text] for text in texts])

    found = choose_examples(EXAMPLES, "q", count, "nearest", embed=embed)
    assert found == sorted(sorted(EXAMPLES, key=cosine)[-count:], key=cosine)


def test_an_example_that_is_the_question_is_not_shown():
    found = choose_examples(EXAMPLES, "question 3", 8, "nearest", embed=lambda texts: np.ones((len(texts), 2)))
    assert "question 3" not in [example.input for example in found] and len(found) == 8


def test_more_examples_than_there_are_are_refused():
    for count in (0, 10):
        with pytest.raises(ConfigError, match="of 9"):
            choose_examples(EXAMPLES, "a", count)
