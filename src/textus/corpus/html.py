"""Web pages: the main text, without menus, scripts and footers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import decoded, looks_binary
from textus.corpus.document import Document
from textus.corpus.log import ReadLog


def html(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read one page; its title goes to `meta`. A page whose main part is not found gives all of its words."""
    content = file.whole(config.maximum_bytes, "raise corpus.maximum_document_mb, or leave it out")
    if content.strip():
        text, meta = page(content, str(file.path), config, log)
        yield Document(text, file.name, meta)


def page(content: bytes, path: str, config: CorpusConfig, log: ReadLog) -> tuple[str, dict[str, Any]]:
    """Return a page's main text, and its title as a fact."""
    tree = HTMLTree.parse(_decode(content, path, config, log))
    return main_text(tree), {"title": tree.title} if tree.title else {}


def main_text(page: HTMLTree | str) -> str:
    """Return a page's main text; all of its text where no main part is found."""
    for main in (True, False):
        text = extract_plain_text(page, main_content=main, alt_texts=False, comments=False, post_meta=False)
        if text.strip():
            break
    return str(text)


def _decode(page: bytes, path: str, config: CorpusConfig, log: ReadLog) -> str:
    encoding = config.encoding
    if encoding == "auto" and not looks_binary(page):
        # A page that is not UTF-8 mostly says itself what it is.
        try:
            page.decode("utf-8")
        except UnicodeDecodeError:
            declared = detect_encoding(page, from_html_meta=True)
            if declared and declared != "utf-8":
                log.encodings[declared] += 1
                return page.decode(declared, "replace")
    return "".join(decoded([page], encoding, path, log))
