import tracemalloc

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.errors import InputError


def texts(tmp_path, content, config=None, log=None):
    (tmp_path / "a.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return [document.text for document in read([tmp_path / "a.xml"], config or CorpusConfig(), log=log)]


def test_words_between_tags_are_kept_and_elements_do_not_grow_together(tmp_path):
    content = "<a><t>One</t><t>two</t><p>It is <b>bold</b>, and <i>more</i>.</p><!-- no --><![CDATA[x < y]]></a>"
    assert texts(tmp_path, content) == ["One\ntwo\nIt is bold, and more.x < y"]


def test_an_encoding_is_that_of_the_declaration(tmp_path):
    log = ReadLog()
    assert texts(tmp_path, '<?xml version="1.0" encoding="iso-8859-1"?><a>é</a>'.encode("latin-1"), log=log) == ["é"]
    assert log.encodings == {"iso-8859-1": 1}


def test_named_entities_are_those_of_html(tmp_path):
    assert texts(tmp_path, '<!DOCTYPE a SYSTEM "x.dtd" [<!ENTITY me "Ada">]><a>&me; &eacute; &unheard; &amp;</a>') == [
        "Ada é  &"
    ]


@pytest.mark.parametrize(
    "entities",
    ['<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">', f'<!ENTITY b "{"x" * 10_000}">'],
)
def test_entities_may_not_multiply(tmp_path, entities):
    with pytest.raises(InputError, match=r"a\.xml: defines the entity `b`"):
        texts(tmp_path, f"<!DOCTYPE a [{entities}]><a>{'&b;' * 1000}</a>")


def test_files_of_the_machine_are_not_fetched(tmp_path):
    (tmp_path / "secret").write_text("secret")
    found = texts(tmp_path, f'<!DOCTYPE a [<!ENTITY s SYSTEM "file://{tmp_path}/secret">]><a>x&s;y</a>')
    assert found == ["xy"]


@pytest.mark.parametrize("content", ["<a><b></a>", "<a>", "words alone", "<a/><b/>"])
def test_what_is_not_xml_is_named_with_its_line(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.xml: line 1: not valid XML: ") as caught:
        texts(tmp_path, content)
    assert caught.value.hint


def test_a_long_file_is_cut_in_bounded_memory(tmp_path):
    content = "<a>" + "<p>some words of a paragraph</p>\n" * 200_000 + "</a>"
    path = tmp_path / "a.xml"
    path.write_text(content)
    tracemalloc.start()
    found = 0
    for number, document in enumerate(read([path], CorpusConfig(maximum_document_mb=0.1))):
        assert document.num_bytes <= 100_000
        assert document.meta == ({"piece": number} if number else {})
        found += len(document.text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == 200_000 * len("some words of a paragraph\n")
    assert peak < 4_000_000
