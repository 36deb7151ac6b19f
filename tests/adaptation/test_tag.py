"""From tagged words to a model that tags, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.adaptation.baselines import commonest_tags
from textus.adaptation.job import Adapted
from textus.dataset.labelled_texts import TaggedText
from textus.errors import CorpusError, InputError

_made: dict[str, Adapted] = {}


@pytest.fixture(params=["encoder", "causal"])
def adapted(
    request: pytest.FixtureRequest,
    starts: dict[str, Path],
    sentences: Any,
    small: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Adapted:
    kind = request.param
    if kind not in _made:
        folder = tmp_path_factory.mktemp("tag")
        rows = [f'{{"tokens": {one["tokens"]}, "tags": {one["tags"]}}}'.replace("'", '"') for one in sentences(60)]
        (folder / "a.jsonl").write_text("\n".join(rows))
        changes = {"training.seeds": 1, "training.epochs": 4}
        _made[kind] = textus.adapt(
            starts[kind], folder / "a.jsonl", method="tag", out=folder / kind, settings=small | changes
        )
    return _made[kind]


def test_what_can_be_learnt_is_learnt(adapted: Adapted) -> None:
    scores = {score.name: score.value for score in adapted.scores}
    assert list(scores) == ["entity_f1", "accuracy", "macro_f1"]
    assert scores["accuracy"] > 0.9
    assert adapted.facts["rows"][1]["name"] == "the commonest tag of each word"


def test_words_are_tagged_as_transformers_does(adapted: Adapted) -> None:
    transformers = pytest.importorskip("transformers")
    (one,) = textus.label(adapted.directory, ["PAT ab SUE 12"], top_k=2)
    assert one.words == ("PAT", "ab", "SUE", "12")
    assert [part[0].label for part in one.answers] == ["B-name", "O", "B-name", "O"]
    assert [sum(answer.probability for answer in part) for part in one.answers] == pytest.approx([1] * 4)
    theirs = transformers.AutoModelForTokenClassification.from_pretrained(adapted.directory, dtype=torch.float32)
    # a tokenizer for words that stand apart puts a space before each, which is how we write them
    batch = transformers.AutoTokenizer.from_pretrained(adapted.directory)("PAT ab SUE 12", return_tensors="pt")
    with torch.inference_mode():
        chances = theirs.eval()(batch.input_ids).logits.softmax(-1)[0]
    model = textus.load(adapted.directory).model
    asked = [1, 5, 8, 12] if model.config.family == "modernbert" else [3, 6, 10, 13]
    for part, place in zip(one.answers, asked, strict=True):
        number = theirs.config.label2id[part[0].label]
        assert part[0].probability == pytest.approx(float(chances[place, number]), abs=1e-5)


def test_words_may_be_given_as_words(adapted: Adapted) -> None:
    by_words = textus.label(adapted.directory, [["PAT", "ab"]])
    assert by_words[0].answers == textus.label(adapted.directory, ["PAT ab"])[0].answers
    assert by_words[0].as_dict()["words"][0]["word"] == "PAT"
    with pytest.raises(InputError, match="text 2: no word in it"):
        textus.label(adapted.directory, ["PAT", "  "])


def test_tags_that_cannot_be_learnt_are_told(
    starts: dict[str, Path], write: Any, small: dict[str, Any], tmp_path: Path
) -> None:
    one_tag = write("one.jsonl", [{"tokens": [str(number)], "tags": ["X"]} for number in range(20)])
    with pytest.raises(CorpusError, match="all words of 16 training examples have the tag 'X'"):
        textus.adapt(starts["encoder"], one_tag, method="tag", out=tmp_path / "o", settings=small)
    two = write("two.jsonl", [{"tokens": [str(number)], "tags": ["XY"[number % 2]]} for number in range(20)])
    test = write("test.jsonl", [{"tokens": ["a", "b"], "tags": ["X", "Z"]}])
    with pytest.raises(InputError, match=r"test.jsonl:1: tag 'Z' is not among those learnt: X, Y"):
        textus.adapt(
            starts["encoder"], two, method="tag", out=tmp_path / "o", settings=small | {"data.test": [str(test)]}
        )
    assert not (tmp_path / "o").exists()


def test_the_commonest_tag_of_a_word_and_of_all() -> None:
    train = [TaggedText("", ("a", "a", "b"), ("X", "X", "Y")), TaggedText("", ("a",), ("Y",))]
    assert commonest_tags(train, [TaggedText("", ("a", "b", "new"), ("", "", ""))]) == [["X", "Y", "X"]]
