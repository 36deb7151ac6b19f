"""The checks that numbers carry in themselves: check digits, issuers, countries, networks."""

from __future__ import annotations

import ipaddress
import re

IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""How long an account number of each country is (SWIFT IBAN registry)."""
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}"  # Discover
    r"|3(?:0[0-5]\d|[689]\d\d)\d{10,15}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|62\d{14,17}"  # UnionPay
)
_PHONE_COUNTRY = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-689]\d|3[578]\d|42\d|5[09]\d|6[789]\d|8[0578]\d|96[0-8]|97\d|99[2-8]"
)
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
_ITIN_GROUPS = frozenset({*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)})


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others (ISO/IEC 7812).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def has_issuer(digits: str) -> bool:
    """Tell whether a card network issues numbers that begin so and are so long."""
    return _ISSUERS.fullmatch(digits) is not None


def mod97(account: str) -> bool:
    """Tell whether an IBAN without spaces has the right check digits (ISO 7064, mod 97-10).

    >>> mod97("GB82WEST12345698765432"), mod97("GB82WEST12345698765431")
    (True, False)
    """
    moved = account[4:] + account[:4]
    return "02" <= account[2:4] <= "98" and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def is_issued_ssn(area: int, group: int, serial: int) -> bool:
    """Tell whether the US issues such a number, as a social security or a taxpayer number (which starts with 9)."""
    if area >= 900:
        return group in _ITIN_GROUPS
    return area not in (0, 666) and group != 0 and serial != 0


def phone_country(digits: str) -> bool:
    """Tell whether an international number starts with a country's code and is as long as ITU E.164 lets it be."""
    return 8 <= len(digits) <= 15 and _PHONE_COUNTRY.match(digits) is not None


def is_host(address: str, checked: bool) -> bool:
    """Tell whether this is an address that the internet routes, or, unless `checked`, one reserved for documentation.

    Private, local, multicast and broadcast addresses tell nobody apart.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.is_global:
        return not found.is_multicast
    return not checked and any(found in network for network in _DOCUMENTATION if network.version == found.version)
