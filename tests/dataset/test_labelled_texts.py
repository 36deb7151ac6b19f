import pytest

from textus.adaptation.config import TagData
from textus.adaptation.tagged import read_tagged
from textus.errors import InputError

CONLLU = """# text = Don't weave.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tweave\tweave\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tunwritten\t_\tX\tX\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
"""
CONLL = "-DOCSTART- -X- O\n\nWool NN B-thing\nis VB O\n\nRed\tJJ\tO\r\n"


def test_conllu_gives_the_words_that_are_written(tmp_path):
    (tmp_path / "a.conllu").write_text(CONLLU)
    first, second = read_tagged([tmp_path / "a.conllu"], TagData())
    assert first.words == ("Do", "n't", "weave", ".") and first.tags == ("AUX", "PART", "VERB", "PUNCT")
    assert second.place.endswith(":9") and second.tags == ("VERB",)
    assert read_tagged([tmp_path / "a.conllu"], TagData(tags="xpos"))[0].tags == ("VBP", "RB", "VB", ".")


def test_a_word_a_line_and_json_lines(tmp_path, write):
    (tmp_path / "a.conll").write_text(CONLL)
    first, second = read_tagged([tmp_path / "a.conll"], TagData())
    assert (first.words, first.tags, second.tags) == (("Wool", "is"), ("B-thing", "O"), ("O",))
    path = write("a.jsonl", [{"tokens": ["Wool", "is"], "ner": ["B-thing", "O"]}])
    (same,) = read_tagged([path], TagData(tags="ner"))
    assert same.key == first.key


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"tokens": ["a", "b"], "tags": ["X"]}, "a.jsonl:1: 2 words and 1 tags"),
        ({"tokens": ["a"]}, "no `tags`; there is `tokens`"),
        ({"tokens": "a", "tags": ["X"]}, "`tokens` is not a list of words"),
        ({"tokens": ["a"], "tags": [1]}, "`tags` is not a list"),
        ({"tokens": ["a", " "], "tags": ["X", "X"]}, "word 2 is empty"),
        ({"tokens": ["a"], "tags": [""]}, "tag 1 is empty"),
        ({"tokens": [], "tags": []}, "no word in it"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write, row, words):
    with pytest.raises(InputError, match=words):
        read_tagged([write("a.jsonl", [row])], TagData())


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.conll", "a X\nb\n", "a.conll:2: a word without a tag"),
        ("a.conllu", "1\ta\tb\n", "a.conllu:1: 3 fields, and CoNLL-U has 10"),
        ("a.doc", "a", "a file of tagged words ends in"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_tagged([tmp_path / name], TagData())


def test_conllu_has_two_kinds_of_tags(tmp_path):
    (tmp_path / "a.conllu").write_text(CONLLU)
    with pytest.raises(InputError, match="no tags `ner`"):
        read_tagged([tmp_path / "a.conllu"], TagData(tags="ner"))
