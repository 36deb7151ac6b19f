"""E-mails: what was written, without headers, attachments and the names of sender and receiver."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage

from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.html import main_text
from textus.corpus.log import ReadLog
from textus.errors import InputError

_BLOCK = 1 << 20
_FROM = re.compile(rb"(?m)^From [^\n]*\d\d:\d\d[^\n]*\n")
_HINT = "raise corpus.maximum_document_mb, or set corpus.unreadable=skip to leave it out"


def mail(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read an `.eml`, or each message of an `.mbox`; its subject and date go to `meta`."""
    if file.suffix == ".eml":
        messages: Iterator[bytes] = iter([file.whole(config.maximum_bytes, _HINT)])
    else:
        messages = _messages(file, config)
    for number, content in enumerate(messages, 1):
        where = f"{file.path}: message {number}"
        if len(content) > config.maximum_bytes:
            log.refuse(InputError(f"{where}: longer than {config.maximum_document_mb:g} MB", hint=_HINT))
            continue
        try:
            message = email.message_from_bytes(content, policy=email.policy.default)
            text, meta = _body(message), _facts(message)
        except (LookupError, ValueError, AttributeError, TypeError) as error:  # as the library meets broken headers
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            hint = "set corpus.unreadable=skip to leave such messages out"
            log.refuse(InputError(f"{where}: cannot be read as an e-mail: {words}", hint=hint))
            continue
        if text.strip():
            yield Document(text, file.name, meta)


def _messages(file: InputFile, config: CorpusConfig) -> Iterator[bytes]:
    """Cut a mailbox at its lines `From sender date`; of a message that is too long, more bytes than are allowed."""
    pending, begun = b"", False
    for block in file.blocks(_BLOCK):
        pending += block
        ends = pending.rfind(b"\n") + 1
        marks = [mark.span() for mark in _FROM.finditer(pending, 0, ends)]
        start = 0
        for at, end in marks:
            if begun:
                yield pending[start:at]
            start, begun = end, True
        pending = pending[start:]
        if len(pending) > config.maximum_bytes + 2 * _BLOCK:  # its middle is not needed to refuse it
            pending = pending[: config.maximum_bytes + 1] + b"\n" + pending[pending.rfind(b"\n") + 1 :]
    if begun:
        yield pending


def _body(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    text = str(body.get_content())
    return main_text(text) if body.get_content_subtype() == "html" else text


def _facts(message: EmailMessage) -> dict[str, str]:
    return {name: str(message[name]) for name in ("subject", "date") if message[name]}
