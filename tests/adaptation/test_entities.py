import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.adaptation.entities import marks_entities, of_tags, spans

TAG = st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from("BIES"), st.sampled_from(["a", "b"])))
TEXTS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=8), min_size=1, max_size=5)


RUN = st.tuples(st.sampled_from(["O", "a", "b"]), st.integers(1, 3))
TAGS = st.lists(RUN, min_size=1, max_size=6).map(
    lambda runs: [
        kind if kind == "O" else f"{'I' if place else 'B'}-{kind}" for kind, size in runs for place in range(size)
    ]
)


@settings(max_examples=30)
@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=4))
def test_entities_are_counted_as_nervaluate_counts_them_strictly(pairs):
    library = pytest.importorskip("nervaluate")
    texts = [(true, (answered * 20)[: len(true)]) for true, answered in pairs]
    true, answered = ([text[side] for text in texts] for side in (0, 1))
    if not marks_entities(true):
        return
    found = library.Evaluator(true, answered, tags=["a", "b"], loader="list").evaluate()["overall"]["strict"]
    counted = [(len(spans(one)), len(spans(other)), len(spans(one) & spans(other))) for one, other in texts]
    assert (found.possible, found.actual, found.correct) == tuple(map(sum, zip(*counted, strict=True)))
    assert of_tags(true, answered)["entity_f1"].value == pytest.approx(found.f1)


@given(st.lists(TAG, max_size=10))
def test_entities_lie_side_by_side_and_cover_what_is_not_outside(tags):
    found = sorted(spans(tags), key=lambda span: span[1])
    covered = [place for _, start, end in found for place in range(start, end)]
    assert covered == [place for place, tag in enumerate(tags) if tag != "O"]
    assert all(tags[place].endswith(f"-{kind}") for kind, start, end in found for place in range(start, end))


@given(TEXTS)
def test_scores_lie_between_0_and_1_and_all_right_is_1(texts):
    true, answered = ([[pair[side] for pair in text] for text in texts] for side in (0, 1))
    found = of_tags(true, answered)
    assert all(0 <= measure.value <= 1 and measure.error >= 0 for measure in found.values())
    words = [(one, other) for one_text, other_text in zip(true, answered, strict=True)
             for one, other in zip(one_text, other_text, strict=True)]  # fmt: skip
    assert found["accuracy"].value == pytest.approx(sum(one == other for one, other in words) / len(words))
    right = of_tags(true, true)
    assert right["accuracy"].value == right["macro_f1"].value == 1
    assert ("entity_f1" in found) == marks_entities(true)
    if marks_entities(true):
        assert right["entity_f1"].value == 1
