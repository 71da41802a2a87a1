"""Field types of the API."""

from typing import Any

import marshmallow as ma
import pytest
from chassis import names
from chassis.http.fields import Name, Stamp, Text, TypeId
from chassis.runtime import ids

from tests.chassis.messages import NOON


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  a  ", "a"),
        ("🎉", "🎉"),
        ("A\u030a", "Å"),
        ("عربى", "عربى"),
        ("x" * 255, "x" * 255),
        ("e" + "\u0301" * 3, "é\u0301\u0301"),
    ],
)
def test_text_is_normalized(given: str, kept: str) -> None:
    assert Text().deserialize(given) == kept


@pytest.mark.parametrize(
    "given", ["", "  ", "a\0b", "a\nb", "a\x7fb", "\ud800", "x" * 256, None, 1, ["a"], {}, True]
)
def test_meaningless_text_is_rejected(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Text().deserialize(given)


def test_a_text_is_too_long_as_it_is_sent() -> None:
    assert Text(most=5).deserialize(" abc ") == "abc"
    with pytest.raises(ma.ValidationError, match="length"):
        Text(most=5).deserialize("  abc ")


def test_newlines_are_allowed_only_in_fields_for_lines() -> None:
    assert Text(lines=True).deserialize("a\n\tb") == "a\n\tb"
    with pytest.raises(ma.ValidationError):
        Text(lines=True).deserialize("a\rb")


NAMES = {
    "kept": (
        "Ann-Marie O'Brien",
        "J.R.R. Tolkien",
        "J.Smith",
        "Booking.com B.V.",
        "Foo @ Home",
        "A/S Nord: 1",
        "نامه\u200cای",
        "क्\u200dष",
        "한국",
        "辻\U000e0100",
        "Removed persons Ltd",
        "Person Removed",
    ),
    "characters": (
        "ab\u202ecd",
        "a\u2066b",
        "a\u200fb",
        "a\u2028b",
        "a\u2029b",
        "a\u200bb",
        "a\u200db",
        "a\u200c",
        "a\u00adb",
        "\ufeffa",
        "a\U000e0041\U000e007f",
        "a\ue000",
        "a\U0010fffd",
        "\u3164",
        "👩\u200d💻",
    ),
    "reserved": (
        "Removed person",
        "REMOVED  PERSON",
        "removed-person.",
        "Re\u0301moved \uff50erson",
        "R\u0435m\u043ev\u0435d p\u0435rs\u043en",
        "\u0413\u0435moved \u0440erson",
        "Remov\u03b5d \u03c1ers\u03bfn",
        "Rem0ved pers0n",
        "\u0280\u1d07\u1d0d\u1d0f\u1d20\u1d07\u1d05 \u1d18\u1d07\u0280\ua731\u1d0f\u0274",
        "Rernoved person",
    ),
    "link": (
        "http://evil.example",
        "HTTPS:evil",
        "see www.evil.example",
        "evil.example/login",
        "evil．example/login",
        "evil。example?x",
        "evil.example:8080",
        "pay@evil.example",
        "mailto:pay",
    ),
}


def test_a_name_has_nothing_hidden_and_no_link() -> None:
    codes = {}
    for text in (text for texts in NAMES.values() for text in texts):
        try:
            codes[text] = "kept" if Name().deserialize(text) == text else "changed"
        except ma.ValidationError as problem:
            codes[text] = str(problem.messages[0]).partition(":")[0]

    expected = {text: code for code, texts in NAMES.items() for text in texts}
    assert codes == expected


def test_only_names_of_companies_may_be_domains() -> None:
    with pytest.raises(ma.ValidationError, match="link"):
        Name(domains=False).deserialize("evil.example")

    assert Name(domains=False).deserialize("J.Smith") == "J.Smith"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ann  Lee", "Ann Lee"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        ("a\u202eb\u2028c\u200bd", "ab cd"),
        ("http://evil.example/login", "http evil example login"),
        ("Evil\r\nBcc: all", "Evil Bcc: all"),
    ],
)
def test_in_mail_a_name_is_short_and_harmless(name: str, shown: str) -> None:
    assert names.in_mail(name) == shown


def test_an_id_in_a_body_must_have_the_right_prefix() -> None:
    good = ids.new("org")

    assert TypeId("org").deserialize(good) == good
    with pytest.raises(ma.ValidationError):
        TypeId("mem").deserialize(good)


@pytest.mark.parametrize(
    "given",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "20260101",
        f"2026-01-01T00:00:00.{'0' * 100_000}Z",
        "",
        "now",
        None,
    ],
)
def test_an_instant_needs_a_time_and_a_zone(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Stamp().deserialize(given)


def test_an_instant_of_any_zone_is_converted_to_utc() -> None:
    assert Stamp().deserialize("2026-03-01T14:00:00+02:00") == NOON
