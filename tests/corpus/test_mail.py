import mailbox
import zlib
from email.message import EmailMessage

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.errors import InputError


def message(number, html=False):
    made = EmailMessage()
    made["Subject"], made["Date"], made["From"] = f"Déjà {number}", "Tue, 24 Nov 2026 10:00:00 +0000", "a@example.org"
    made.set_content(f"<p>Words {number}</p>" if html else f"Words {number}\n", subtype="html" if html else "plain")
    made.add_attachment(zlib.compress(b"x"), maintype="application", subtype="zip", filename="x.zip")
    return made


@pytest.mark.parametrize("html", [False, True])
def test_an_email_gives_its_words_without_names(tmp_path, html):
    (tmp_path / "a.eml").write_bytes(message(1, html).as_bytes())
    (found,) = read([tmp_path / "a.eml"], CorpusConfig())
    assert found.text.strip() == "Words 1"
    assert found.meta == {"subject": "Déjà 1", "date": "Tue, 24 Nov 2026 10:00:00 +0000"}


def test_a_mailbox_gives_what_the_mailbox_module_writes(tmp_path):
    box = mailbox.mbox(tmp_path / "a.mbox")
    for number in range(5):
        box.add(message(number))
    box.close()
    assert [d.text.strip() for d in read([tmp_path / "a.mbox"], CorpusConfig())] == [f"Words {n}" for n in range(5)]


def test_a_message_that_is_too_long_is_refused_alone(tmp_path):
    mark = "From a@example.org Tue Nov 24 10:00:00 2026\n"
    bodies = ["Subject: a\n\na\n", "Subject: b\n\n" + "b" * 5_000_000 + "\n", "Subject: c\n\nc\n"]
    (tmp_path / "a.mbox").write_text("".join(mark + body for body in bodies))
    log = ReadLog(stop=False)
    found = read([tmp_path / "a.mbox"], CorpusConfig(maximum_document_mb=0.1, unreadable="skip"), log=log)
    assert [d.text.strip() for d in found] == ["a", "c"]
    assert log.unreadable == {"records": 1}
    with pytest.raises(InputError, match=r"message 2: longer than 0\.1 MB"):
        list(read([tmp_path / "a.mbox"], CorpusConfig(maximum_document_mb=0.1)))


def test_an_unknown_encoding_is_refused_or_read(tmp_path):
    (tmp_path / "a.eml").write_bytes(b"Content-Type: text/plain; charset=klingon\n\nwords\n")
    with pytest.raises(InputError, match="message 1: cannot be read as an e-mail: unknown encoding"):
        list(read([tmp_path / "a.eml"], CorpusConfig()))
