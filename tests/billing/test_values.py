"""Amounts as text and as millionths."""

import pytest
from billing.values import InvalidMoney, format_money, parse_money, percent
from hypothesis import given
from hypothesis import strategies as st

BAD = [
    "",
    " ",
    "1 ",
    " 1",
    "1\n",
    "\t1",
    "+1",
    "1e3",
    "1E3",
    "0x10",
    "1_000",
    "1,000",
    "1.",
    ".5",
    "1.1234567",
    "1234567890123",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "--1",
    "1-",
    "1.2.3",
    "-",
    ".",
    "٣",
    "１",
    "१",
    "²",
    "1.٣",
    "1\x00",
    "$1",
    "1 SGD",
    "1/2",
    "0b1",
    1,
    1.0,
    0,
    True,
    False,
    None,
    [],
    {},
    ["1"],
    {"amount": "1"},
]


@pytest.mark.parametrize("text", BAD, ids=repr)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_anything_but_a_decimal_string_is_refused(text, signed, zero):
    with pytest.raises(InvalidMoney):
        parse_money(text, signed=signed, zero=zero)


@pytest.mark.parametrize("text", ["-1", "-0.000001", "-999999999999.999999"])
def test_a_minus_sign_is_refused_for_positive_amounts(text):
    with pytest.raises(InvalidMoney):
        parse_money(text, zero=True)
    assert parse_money(text, signed=True) < 0


@pytest.mark.parametrize("text", ["0", "0.0", "0.000000", "000"])
def test_zero_is_refused_for_positive_amounts(text):
    with pytest.raises(InvalidMoney):
        parse_money(text, signed=True)
    assert parse_money(text, zero=True) == 0


@pytest.mark.parametrize("text", ["-0", "-0.0", "-0.000000"])
def test_zero_never_has_a_sign(text):
    with pytest.raises(InvalidMoney):
        parse_money(text, signed=True, zero=True)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 10**6),
        ("0.000001", 1),
        ("12.5", 12_500_000),
        ("999999999999.999999", 10**18 - 1),
        ("007", 7 * 10**6),
    ],
)
def test_valid_amounts_become_millionths(text, amount):
    assert parse_money(text) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (100_000_000, "SGD", "100.00"),
        (65_979_991, "SGD", "65.979991"),
        (500_000_000, "JPY", "500"),
        (500_500_000, "JPY", "500.5"),
        (0, "SGD", "0.00"),
        (0, "JPY", "0"),
        (-1, "EUR", "-0.000001"),
        (-8_670_000, "EUR", "-8.67"),
        (1_000_000, "KWD", "1.000"),
        (10**18 - 1, "SGD", "999999999999.999999"),
        (1_000_000, "XXX", "1.00"),
        (1_000_000, "ZZZ", "1.00"),
    ],
)
def test_output_has_at_least_the_currencys_decimals_and_at_most_six(amount, currency, text):
    assert format_money(amount, currency) == text


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.sampled_from(["SGD", "JPY", "KWD", "CLF"]))
def test_formatted_amounts_parse_to_the_same_value(amount, currency):
    assert parse_money(format_money(amount, currency), signed=True, zero=True) == amount


@pytest.mark.parametrize(
    ("amount", "share", "result"),
    [(100_000_000, 20, 20_000_000), (1, 50, 0), (3, 50, 2), (5, 10, 0), (15, 10, 2)],
)
def test_percentages_are_rounded_half_even(amount, share, result):
    assert percent(amount, share) == result
