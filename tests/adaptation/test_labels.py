import pytest

from textus.adaptation.config import ClassifyData
from textus.adaptation.labels import label_set, majority, read_labelled
from textus.errors import CorpusError, InputError


def test_labels_are_words_or_numbers_in_their_order(write):
    path = write("a.jsonl", [{"text": str(n), "label": label} for n, label in enumerate([10, "b", 9, True, 2.5])])
    labels = label_set(read_labelled([path], ClassifyData()))
    assert labels.names == ("2.5", "9", "10", "b", "true") and not labels.several


def test_a_list_means_that_several_may_hold(write):
    path = write(
        "a.jsonl", [{"text": "x", "label": ["a", "b"]}, {"text": "y", "label": []}, {"text": "z", "label": ["b"]}]
    )
    examples = read_labelled([path], ClassifyData())
    labels = label_set(examples)
    assert labels.several and [labels.number(one) for one in examples] == [[1, 1], [0, 0], [0, 1]]
    assert majority([*examples, examples[2]]) == ("b",)


def test_one_label_alone_is_nothing_to_learn_and_another_is_unseen(write):
    examples = read_labelled([write("a.jsonl", [{"text": str(n), "label": "x"} for n in range(3)])], ClassifyData())
    with pytest.raises(CorpusError, match="3 training examples all have the label 'x'"):
        label_set(examples)
    more = read_labelled([write("b.jsonl", [{"text": "q", "label": "y"}, {"text": "r", "label": "z"}])], ClassifyData())
    with pytest.raises(InputError, match=r"b.jsonl:2: label 'z' is not among those learnt: x, y"):
        label_set([*examples, more[0]]).number(more[1])
