"""Repair what went wrong on a text's way here, and nothing that its author meant.

Indentation, spaces inside a line, quotation marks and spelling stay: this may be source code or poetry.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import ftfy
from ftfy.badness import is_bad

from textus.corpus.config import CorpusConfig

_SURROGATES = re.compile("[\ud800-\udfff]")
_SEPARATORS = re.compile("[\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_BLANK_LINES = re.compile("\n{4,}")
# Whatever ftfy finds bad has one of these; its own pattern is some thirty times slower.
_SUSPECT = re.compile("[^\x00-\x7f]{2}|[\x80-\x9fŒœÂÃ]")
# Only what undoes a wrong decoding: no quotes straightened, no HTML entities or wide letters replaced.
_FTFY = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_control_chars=False,
    normalization=None,
    explain=False,
)


def clean(text: str, config: CorpusConfig) -> tuple[str, Counter[str]]:
    r"""Return the repaired text, and which repairs touched it (each counted once).

    >>> clean("\ufeffdef f():\r\n    return 1  \r\n", CorpusConfig())[0]
    'def f():\n    return 1'
    >>> text, repairs = clean("Itâ€™s a cafe\u0301.", CorpusConfig())
    >>> text, sorted(repairs)
    ('It’s a café.', ['composed accents', 'wrong decoding'])
    """
    repairs: Counter[str] = Counter()

    def note(repair: str, repaired: str) -> str:
        if repaired != text:
            repairs[repair] = 1
        return repaired

    if not text.isascii():
        text = note("lone surrogates", _without_surrogates(text))
        text = note("line ends", _SEPARATORS.sub("\n", text))
    if "\r" in text:
        text = note("line ends", text.replace("\r\n", "\n").replace("\r", "\n"))
    if config.fix_unicode and not text.isascii():
        text = note("wrong decoding", _undo_wrong_decoding(text))
    # Accents are composed after control characters are gone, for these may stand between a letter and its accent.
    text = note("control characters", _CONTROLS.sub("", text))
    if config.fix_unicode and not text.isascii():
        text = note("composed accents", unicodedata.normalize("NFC", text))
    text = note("spaces at line ends", "\n".join([line.rstrip() for line in text.split("\n")]))
    text = text.strip("\n")
    if "\n\n\n\n" in text:
        text = note("blank lines", _BLANK_LINES.sub("\n\n\n", text))
    return text, repairs


def _undo_wrong_decoding(text: str) -> str:
    """Let ftfy repair the lines that its own measure finds bad; the others, almost all, cost a scan."""
    if "\n" in text:
        return "\n".join([line if line.isascii() else _undo_wrong_decoding(line) for line in text.split("\n")])
    return ftfy.fix_text(text, _FTFY) if _SUSPECT.search(text) and is_bad(text) else text


def _without_surrogates(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text
