import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from textus.corpus.config import CorpusConfig
from textus.corpus.html import main_text
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.errors import InputError

PAGES = Path(__file__).parents[2] / "../shared/data/dirty/html_pages_dev.jsonl.zst"
DEFAULT = CorpusConfig()
ARTICLE = "<p>" + "</p><p>".join(f"This is paragraph {n} of an article that goes on." for n in range(8)) + "</p>"
PAGE = f"""<html><head><title>A title</title><script>var x;</script></head>
<body><nav><a href=/>Home</a> <a href=/a>About</a></nav>
<article><h1>Été</h1>{ARTICLE}<pre>def f():\n    return 1</pre></article>
<footer>Copyright, cookies</footer></body></html>"""


def page(path, content, config=DEFAULT, log=None):
    path.write_bytes(content)
    (document,) = read([path], config, log=log)
    return document


def test_the_main_text_is_kept_and_the_rest_is_not(tmp_path):
    document = page(tmp_path / "a.html", PAGE.encode())
    assert "Été" in document.text
    assert "paragraph 7 of an article" in document.text
    assert "def f():\n    return 1" in document.text
    assert not re.search("Home|cookies|var x|<", document.text)
    assert document.meta == {"title": "A title"}


def test_a_page_says_its_own_encoding(tmp_path):
    log = ReadLog()
    content = PAGE.replace("<head>", '<head><meta charset="iso-8859-5">').replace("Été", "Привет")
    assert "Привет" in page(tmp_path / "a.html", content.encode("iso-8859-5"), log=log).text
    assert list(log.encodings) == ["iso8859-5"]


def test_a_page_without_a_main_part_gives_its_words(tmp_path):
    assert page(tmp_path / "a.htm", b"<b>Just this.</b>").text == "Just this."


def test_binaries_and_giants_are_refused(tmp_path):
    with pytest.raises(InputError, match="binary"):
        page(tmp_path / "a.html", b"<html>\0\0\0")
    with pytest.raises(InputError, match=r"longer than 0\.001 MB"):
        page(tmp_path / "a.html", b"<p>" + b"x" * 2000, CorpusConfig(maximum_document_mb=0.001))


@pytest.mark.skipif(not PAGES.exists(), reason="the shared data is not here")
def test_real_pages_give_their_articles():
    def words(text):
        return Counter(re.findall(r"\w+", text))

    scores = []
    with PAGES.open("rb") as packed:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8"):
            row = json.loads(line)
            found, wanted = words(main_text(row["html"])), words(row["article_body"])
            scores.append(2 * (found & wanted).total() / (found.total() + wanted.total()))
    assert sum(scores) / len(scores) > 0.93
    assert min(scores) > 0.5
