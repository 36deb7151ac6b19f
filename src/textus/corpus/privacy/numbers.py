"""Numbers that name a person: bank accounts, cards, social security, telephones and IP addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from textus.corpus.privacy.checks import (
    IBAN_LENGTHS,
    has_issuer,
    is_host,
    is_issued_ssn,
    luhn,
    mod97,
    phone_country,
)
from textus.corpus.privacy.config import Kind
from textus.corpus.privacy.gate import SKELETON

Span = tuple[int, int]
# Every number below has a digit and six characters of a number behind it, or is an IBAN or IPv6 address. The text is
# looked through as bytes, one a character, in which all digits are `0`: that is found with the speed of `memchr`.
_GATE = re.compile(rb"0(?:(?<=AA0)0[-0A]{11}|([-.0]{6,})|[0Aa]{3}:[0Aa:])")
_DIGITS, _FEWEST_DIGITS, _DOTS = "0123456789", 7, 3
_IBAN_DIGITS, _CARD_DIGITS = (min(IBAN_LENGTHS.values()) + 1) // 2, 13
"""The fewest that they have: half an account number is digits."""
_BEFORE, _BEHIND = 24, 72
"""How far from where the gate opens a number, with the word before it that tells what it is, may reach."""

_IBAN = re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(IBAN_LENGTHS)})[0-9]{{2}}(?=[ \xa0]?[A-Z0-9]{{4}})")
_IBAN_START = re.compile("[A-Z][A-Z][0-9]{2}")
_CARD = re.compile(
    r"(?<![\w.,/=-])(?<![0-9] )(?:[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}"
    r"|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5})"
    r"(?![\w/-]|[.,][0-9]| [0-9])"
)
_SSN = re.compile(r"(?<![\w./-])([0-9]{3})-([0-9]{2})-([0-9]{4})(?![\w/-]|\.[0-9])")
_IPV4 = re.compile(
    r"(?<![\w.+-])(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?=[0-9])|(?![\w.])|\.(?![\w]))){4}"
)
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}:[0-9a-fA-F:]{2,35}(?![\w:])")
_IS_VERSION = re.compile(
    r"(?i)(?:\bv|\bver(?:sion)?s?|\brelease|\bbuild|\bsections?|\bsec|\bchapter|\bclause|\btable|\bfigure|\bEC|§|[=<>~!]=|@|-)"
    r"[\s.:\"']*$"
)
_IS_ADDRESS = re.compile(
    r"(?i)\b(?:ips?|ipv4|address|host|server|dns|gateway|ping|from)\W{0,3}(?:address|is|of)?\W{0,3}$"
)
_SMALL = 32
"""Four numbers all smaller than this are a version or a section, unless a word before or a port behind contradicts."""

_INTERNATIONAL = re.compile(r"(?<![\w+.)])(?:\+|00(?=[1-9][0-9]{0,2}[ (-]))[1-9][-0-9 .()/\xa0]{6,22}[0-9](?!\w)")
_SEPARATORS_TWICE = re.compile(r"(?![ \xa0]\(|\)[-. /\xa0])[-. ()/\xa0]{2}|^\+?[0-9]+\.[0-9]+$")
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.+/-])(?<![0-9] )(?:\+?1[-. ])?(?:\([2-9][0-9]{2}\)[- ]?|[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-. ][0-9]{4}"
    r"(?![\w/-]|\.[0-9]| [0-9])"
)
_TRUNK = re.compile(
    r"(?<![\w.+/:,(-])(?<![0-9] )\(?0[1-9][0-9]{0,4}\)?(?:[-. /][0-9]{2,8}){1,5}(?![\w/:-]|[.,][0-9]| [0-9])"
)
_NO_PHONE = re.compile(
    r"0[0-9]{4}-[0-9]{4}$|(?:0[1-9]|[12][0-9]|3[01])([-./ ])(?:0[1-9]|1[0-2])\1(?:19|20)?[0-9]{2}|(?:0[0-9][-./ ]){2}"
)
_NAMED = re.compile(
    r"(?i)\b(?:tel|telephone|phone|ph|fax|mobile|whatsapp|hotline|téléphone|telefon|teléfono|telefone|handy)s?"
    r"(?:[ .]{0,2}(?:no|nr|number|num|us at|at)\b)?[\s.:#=]{0,4}([(+]?[0-9][-0-9 .()/\xa0]{5,18}[0-9])(?!\w)"
)
# Told by the first letter, which `re` looks for in a fast loop: [Tt][eé]l|TEL|[Pp][hH]|[Ff]ax|FAX and so on.
_NAMES = re.compile(
    "[TtPpFfMmWwHh](?:(?<=[Tt])[eé]l|(?<=T)EL|(?<=[Pp])[hH]|(?<=[Ff])ax|(?<=F)AX|(?<=[Mm])obile|(?<=M)OBILE"
    "|(?<=[Ww])hats|(?<=[Hh])(?:otline|andy))"
)
_NOT_DIGITS = re.compile("[^0-9]")


def numbers(text: str, checked: bool) -> Iterator[tuple[Kind, int, int]]:
    """Find numbers; a kind that comes first is the surer one, where two overlap."""
    for start, end in _windows(text):
        part = text[start:end]
        num_digits = sum(map(part.count, _DIGITS))
        if num_digits >= _IBAN_DIGITS and _IBAN_START.search(part):
            yield from (("iban", *span) for span in _ibans(text, start, end, checked))
        if num_digits >= _CARD_DIGITS:
            yield from (("card", *span) for span in _cards(text, start, end))
        if "-" in part:
            yield from (("ssn", *span) for span in _social_security(text, start, end, checked))
        if ":" in part or part.count(".") >= _DOTS:
            yield from (("ip_address", *span) for span in _ip_addresses(text, start, end, checked))
        if num_digits >= _FEWEST_DIGITS:
            yield from (("phone", *span) for span in _phones(text, start, end, part))


def _windows(text: str) -> Iterator[Span]:
    """Say where numbers may be: around seven digits or three dots, or the start of an IBAN or IPv6 address."""
    start, end = 0, -1
    for opened in _GATE.finditer(text.encode("latin-1", "replace").translate(SKELETON)):
        run = opened[1]
        if run and run.count(b".") < _DOTS and run.count(b"0") < _FEWEST_DIGITS - 1:
            continue
        at = opened.start()
        if at - _BEFORE > end:
            if end > 0:
                yield start, end
            start = max(0, at - _BEFORE)
        end = opened.end() + _BEHIND
    if end > 0:
        yield start, end


def _ibans(text: str, start: int, end: int, checked: bool) -> Iterator[Span]:
    for found in _IBAN.finditer(text, start, end):
        at, length = found.start(), IBAN_LENGTHS[text[found.start() : found.start() + 2]]
        account = _account(text, at, length)
        if account and (mod97(account[0]) or not checked):
            yield at, account[1]


def _account(text: str, at: int, length: int) -> tuple[str, int] | None:
    """Read an account number in one piece or in groups of four."""
    pieces = [text[at : at + length]]
    if not pieces[0].isalnum():
        groups, rest = divmod(length, 4)
        sizes = [4] * groups + ([rest] if rest else [])
        starts = [at + 5 * number for number in range(len(sizes))]
        pieces = [text[begin : begin + size] for begin, size in zip(starts, sizes, strict=True)]
        if any(not text[begin - 1 : begin].isspace() for begin in starts[1:]):
            return None
        end = starts[-1] + sizes[-1]
    else:
        end = at + length
    account = "".join(pieces)
    whole = len(account) == length and account.isascii() and account.isalnum() and account == account.upper()
    if not whole or text[end : end + 1].isalnum() or sum(map(str.isdigit, account)) * 2 < length:
        return None
    return account, end


def _cards(text: str, start: int, end: int) -> Iterator[Span]:
    for found in _CARD.finditer(text, start, end):
        digits = _NOT_DIGITS.sub("", found[0])
        if has_issuer(digits) and luhn(digits):
            yield found.span()


def _social_security(text: str, start: int, end: int, checked: bool) -> Iterator[Span]:
    for found in _SSN.finditer(text, start, end):
        if not checked or is_issued_ssn(*map(int, found.groups())):
            yield found.span()


def _ip_addresses(text: str, start: int, end: int, checked: bool) -> Iterator[Span]:
    for found in _IPV4.finditer(text, start, end):
        address = found[0].rstrip(".")
        at, behind = found.start(), found.start() + len(address)
        before = text[max(0, at - _BEFORE) : at]
        if address.count(".") != 3 or _IS_VERSION.search(before) or not is_host(address, checked):
            continue
        is_small = max(map(int, address.split("."))) < _SMALL
        if is_small and not (_IS_ADDRESS.search(before) or re.match(r"[:/][0-9]", text[behind : behind + 2])):
            continue
        yield at, behind
    for found in _IPV6.finditer(text, start, end):
        address = found[0].rstrip(":") if not found[0].endswith("::") else found[0]
        if is_host(address, checked):
            yield found.start(), found.start() + len(address)


def _phones(text: str, start: int, end: int, part: str) -> Iterator[Span]:
    if "+" in part or "00" in part:
        for found in _INTERNATIONAL.finditer(text, start, end):
            digits = _NOT_DIGITS.sub("", found[0])
            if phone_country(digits.removeprefix("00")) and not _SEPARATORS_TWICE.search(found[0]):
                yield found.span()
    for found in _NORTH_AMERICAN.finditer(text, start, end):
        yield found.span()
    for found in _TRUNK.finditer(text, start, end):
        digits = _NOT_DIGITS.sub("", found[0])
        if 9 <= len(digits) <= 12 and not _NO_PHONE.match(found[0].lstrip("(")):
            yield found.span()
    if _NAMES.search(part):
        for found in _NAMED.finditer(text, start, end):
            if 7 <= len(_NOT_DIGITS.sub("", found[1])) <= 15 and not _SEPARATORS_TWICE.search(found[1]):
                yield found.span(1)
