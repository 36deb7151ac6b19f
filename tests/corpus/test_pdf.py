import sys

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.errors import InputError


def write_pdf(path, lines):
    """Write one page of text, as small as a PDF can be."""
    stream = "BT /F1 12 Tf 72 720 Td " + " ".join(f"({line}) Tj 0 -14 Td" for line in lines) + " ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
        "/Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    path.write_bytes(out + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)
    return path


def test_a_pdf_gives_its_words_and_a_warning(tmp_path):
    pytest.importorskip("pypdf")
    path, log = write_pdf(tmp_path / "a.pdf", ["Some words", "and more"]), ReadLog()
    (found,) = read([path], CorpusConfig(), log=log)
    assert found.text.split() == ["Some", "words", "and", "more"]
    assert "poorly" in log.named[0]


def test_a_damaged_pdf_is_named(tmp_path):
    pytest.importorskip("pypdf")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\nnothing more")
    with pytest.raises(InputError, match=r"a\.pdf: cannot be read as PDF") as caught:
        list(read([tmp_path / "a.pdf"], CorpusConfig()))
    assert caught.value.hint


def test_without_pypdf_one_is_told_what_to_install(tmp_path, monkeypatch):
    path = write_pdf(tmp_path / "a.pdf", ["words"])
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(InputError, match="needs pypdf") as caught:
        list(read([path], CorpusConfig()))
    assert "textus[pdf]" in caught.value.hint
