"""Check digits by brute force, networks by the standard library."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.privacy.checks import IBAN_LENGTHS, has_issuer, is_host, is_issued_ssn, luhn, mod97, phone_country

digits = st.text(st.sampled_from("0123456789"), min_size=1, max_size=18)


@given(digits)
def test_exactly_one_last_digit_is_right(number: str) -> None:
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number))]
    check = -sum(value // 10 + value % 10 for value in doubled) % 10
    assert [digit for digit in range(10) if luhn(f"{number}{digit}")] == [check]


@given(digits.filter(lambda number: len(number) > 1), st.data())
def test_one_wrong_digit_is_noticed(number: str, data: st.DataObject) -> None:
    right = next(f"{number}{digit}" for digit in range(10) if luhn(f"{number}{digit}"))
    place = data.draw(st.integers(0, len(right) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != right[place]]))
    assert not luhn(right[:place] + wrong + right[place + 1 :])


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.text(st.sampled_from("0123456789ABCXYZ"), min_size=11, max_size=29))
def test_exactly_one_pair_of_check_digits_is_right(country: str, account: str) -> None:
    rest = 0
    for char in account + country + "00":
        value = int(char, 36)
        rest = (rest * (10 if value < 10 else 100) + value) % 97
    assert [check for check in range(100) if mod97(f"{country}{check:02}{account}")] == [98 - rest]


def test_registered_examples_pass() -> None:
    for account in (
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "FR1420041010050500013M02606",
        "BE68539007547034",
    ):
        assert len(account) == IBAN_LENGTHS[account[:2]]
        assert mod97(account)


def test_cards_of_each_network() -> None:
    for number in ("4111111111111111", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117",
                   "30569309025904", "3530111333300000", "6200000000000005"):  # fmt: skip
        assert has_issuer(number)
        assert luhn(number)
    assert not has_issuer("9111111111111111")
    assert not has_issuer("411111111111111")


@given(st.ip_addresses(), st.booleans())
def test_routed_addresses_are_hosts(address: ipaddress.IPv4Address | ipaddress.IPv6Address, checked: bool) -> None:
    if address.is_global and not address.is_multicast:
        assert is_host(str(address), checked)
    elif checked:
        assert not is_host(str(address), checked)


def test_addresses_that_name_nobody() -> None:
    for address in (
        "10.0.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "169.254.1.1",
        "::1",
        "1.2.3",
    ):
        assert not is_host(address, False)
    assert is_host("203.0.113.7", False)
    assert not is_host("203.0.113.7", True)


def test_numbers_of_people() -> None:
    assert is_issued_ssn(219, 9, 9999)
    assert is_issued_ssn(912, 70, 1234)
    assert not any(
        is_issued_ssn(*parts) for parts in ((0, 1, 1), (666, 1, 1), (123, 0, 1), (123, 1, 0), (980, 10, 7948))
    )


def test_countries_that_can_be_called() -> None:
    assert phone_country("442079460958")
    assert phone_country("35312345678")
    assert not phone_country("999123456789")
    assert not phone_country("1234567")
    assert not phone_country("4420794609581234")
