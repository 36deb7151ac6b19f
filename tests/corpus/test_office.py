import io
import zipfile

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.read import read
from textus.errors import InputError

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
FILES = {
    "a.docx": {
        "word/document.xml": f"<w:document {W}><w:body><w:p><w:r><w:t>Ti</w:t></w:r><w:r><w:t>tle</w:t></w:r></w:p>"
        "<w:p><w:r><w:t>Words</w:t></w:r></w:p></w:body></w:document>"
    },
    "a.odt": {
        "content.xml": '<o:d xmlns:o="o" xmlns:text="t"><text:h>Title</text:h>\n'
        "<text:p>Wor<text:span>ds</text:span></text:p></o:d>"
    },
    "a.epub": {
        "META-INF/container.xml": '<container><rootfile full-path="OEBPS/book.opf"/></container>',
        "OEBPS/book.opf": '<package><manifest><item id="2" href="b%20b.xhtml"/><item id="1" href="a.xhtml"/></manifest>'
        '<spine><itemref idref="1"/><itemref idref="2"/></spine></package>',
        "OEBPS/a.xhtml": "<html><body><h1>Title</h1></body></html>",
        "OEBPS/b b.xhtml": "<html><body><p>Words</p></body></html>",
    },
}


def pack(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize("name", FILES)
def test_paragraphs_and_chapters_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(pack(FILES[name]))
    (found,) = read([tmp_path], CorpusConfig())
    assert found.text.split() == ["Title", "Words"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "content",
    [pack({}), pack({"META-INF/container.xml": "<a/>"}), b"no archive", pack(FILES["a.odt"])[:60]],
    ids=["empty", "another", "no archive", "truncated"],  # an archive holds the time at which it was made
)
def test_what_is_not_one_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        list(read([tmp_path / name], CorpusConfig()))
    assert caught.value.hint
