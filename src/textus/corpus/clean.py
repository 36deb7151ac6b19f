"""Repair what went wrong on a text's way here, and nothing that its author meant.

Indentation, spaces inside a line, quotation marks and spelling stay: this may be source code or poetry.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import ftfy
from ftfy.badness import BADNESS_RE, MOJIBAKE_CATEGORIES, is_bad
from ftfy.fixes import fix_c1_controls, fix_surrogates

from textus.corpus.config import CorpusConfig

_SURROGATES = re.compile("[\ud800-\udfff]")
_SEPARATORS = re.compile("[\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
_ASCII_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n"})
# What any of the three above replaces, found in one scan.
_UNUSUAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")
_SPACE_AT_LINE_END = re.compile(r"\n(?<=[^\S\n]\n)")
_BLANK_LINES = re.compile("\n{4,}")

_OTHERS = "".join(value for name, value in MOJIBAKE_CATEGORIES.items() if not name.endswith("common"))
SUSPECTS = re.compile(f"[{_OTHERS}Ђ]")
"""What the second of two characters is that ftfy finds bad together; both are beyond ASCII."""


def _suspect() -> re.Pattern[str]:
    """Compile what every line has that ftfy finds bad: mostly two neighbours of its categories.

    ftfy's own pattern is some thirty times slower. This one looks for the second of the two first, which is fast: in
    ordinary text of any script it is seldom there, and Cyrillic, Greek and Chinese letters never are it.
    """
    kinds = {
        name: "".join(MOJIBAKE_CATEGORIES[category] for category in categories.split())
        for name, categories in {
            "letter": "lower_accented upper_accented",
            "cased": "lower_accented lower_common",
            "greek": "lower_common upper_common",
            "upper": "upper_accented",
            "lower": "lower_accented",
            "bad": "bad",
            "box": "box",
            "money": "currency",
            "number": "numeric",
            "figure": "numeric law",
            "start": "start_punctuation",
            "end": "end_punctuation",
        }.items()
    }
    pairs = (
        "[{others}{greek}][{bad}]",
        "[{bad}][{others}]",
        "[{cased}{box}{end}{money}{number}][{upper}]",
        "[{box}{end}{money}{number}][{lower}]",
        "[{letter}{box}{end}][{money}]",
        "[{upper}{box}][{figure}]",
        "[{letter}{box}{end}{money}{number}][{start}]",
        "[{letter}{box}{money}{figure}][{end}]",
        "[{box}][{others}]",
        "[{others}][{box}]",
        "[{upper}]°",
        "[ВГРСΒΓΞΟβ][{others}]",
        "[вВ]Ђ",
        "à[²µ¹¼½¾]",
        "×[²³]",
        "≈[°¢]",
        "‚[Äâó]",
    )
    either = "|".join(f"(?<={pair})" for pair in pairs).format(others=_OTHERS, **kinds)
    return re.compile(f"[{_OTHERS}Ђ](?:{either}|(?<=[\x80-\x9fÂÃÎÐØÙ√])|(?<=[Œœ])(?![A-Za-z]))")


_SUSPECT = _suspect()
_REACH = 8
"""No pattern of ftfy's is longer, and what is suspect stands in it."""
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

    def note(repair: str, before: str, after: str) -> str:
        if after != before:
            repairs[repair] = 1
        return after

    if text.isascii():
        if "\r" in text:
            text = note("line ends", text, text.replace("\r\n", "\n").replace("\r", "\n"))
        text = note("control characters", text, text.encode("ascii").translate(None, _ASCII_CONTROLS).decode("ascii"))
    else:
        text = _clean_unicode(text, config.fix_unicode, note)
    text = text.strip("\n")
    if _SPACE_AT_LINE_END.search(text) or text[-1:].isspace():
        text = note("spaces at line ends", text, "\n".join([line.rstrip() for line in text.split("\n")]))
    text = text.strip("\n")
    if "\n\n\n\n" in text:
        text = note("blank lines", text, _BLANK_LINES.sub("\n\n\n", text))
    return text, repairs


def _clean_unicode(text: str, fix: bool, note: Callable[[str, str, str], str]) -> str:
    """Make the repairs that only text beyond ASCII can need; one scan tells whether most of them are."""
    is_unusual = bool(_UNUSUAL.search(text))
    if is_unusual:
        text = note("lone surrogates", text, _SURROGATES.sub("\ufffd", text))
        text = note("line ends", text, _SEPARATORS.sub("\n", text))
        text = note("line ends", text, text.replace("\r\n", "\n").replace("\r", "\n"))
    if fix:
        before = text
        text = note("wrong decoding", text, _undo_wrong_decoding(text))
        is_unusual = is_unusual or text != before
    # Accents are composed after control characters are gone, for these may stand between a letter and its accent.
    if is_unusual:
        text = note("control characters", text, _CONTROLS.sub("", text))
    return note("composed accents", text, unicodedata.normalize("NFC", text)) if fix else text


def _undo_wrong_decoding(text: str) -> str:
    """Let ftfy repair the lines that its own measure finds bad; the others, almost all, cost a scan."""
    done, position = [], 0
    while suspect := _SUSPECT.search(text, position):
        start = text.rfind("\n", position, suspect.start()) + 1 or position
        end = text.find("\n", suspect.end())
        end = len(text) if end < 0 else end
        line = text[start:end]
        done += [text[position:start], _repaired(line) if _is_bad(line) else line]
        position = end
    return "".join(done) + text[position:] if done else text


def _is_bad(line: str) -> bool:
    """Ask ftfy's measure, which is slow, only around what is suspect; where much is, it sees the whole line at once."""
    left = len(line) // (4 * _REACH)
    for suspect in _SUSPECT.finditer(line):
        if not left:
            return is_bad(line)
        left -= 1
        if BADNESS_RE.search(line, max(0, suspect.start() - _REACH), suspect.end() + _REACH):
            return True
    return False


def _repaired(line: str) -> str:
    """Do what `ftfy.fix_text(line, _FTFY)` does, but stop where another round, most of its time, finds nothing."""
    if len(line) > _FTFY.max_decode_length:
        return ftfy.fix_text(line, _FTFY)
    while True:
        decoded = ftfy.fix_encoding(line)  # until there is nothing more of that kind
        fixed = fix_surrogates(fix_c1_controls(decoded))
        if fixed in (decoded, line):
            return fixed
        line = fixed
