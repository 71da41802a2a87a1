"""The key of an authenticator app on its page."""

import re

import segno
from console.values import enrollments
from membership.values import one_time_codes

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def drawn(path: str, size: int) -> list[list[int]]:
    """The squares that an SVG path fills."""
    squares = [[0] * size for _ in range(size)]
    for x, y, width, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path):
        assert width == back
        squares[int(y)][int(x) : int(x) + int(width)] = [1] * int(width)
    return squares


def test_the_drawn_code_is_the_uri_with_a_margin() -> None:
    uri = one_time_codes.uri(SECRET, email="ann@customer.example", issuer="Acme & Söhne")
    shown = enrollments.enrollment(uri)
    assert shown and shown.key == SECRET and shown.uri == uri
    squares = drawn(shown.qr_path, shown.qr_size)
    assert squares == [list(row) for row in segno.make_qr(uri).matrix_iter(border=4)]
    margin = [*squares[:4], *squares[-4:], *(row[:4] + row[-4:] for row in squares)]
    assert not any(any(row) for row in margin)
    assert re.sub(r"M\d+ \d+h\d+v1h-\d+z", "", shown.qr_path) == ""


def test_the_longest_names_still_fit() -> None:
    email = "ü" * 60 + "@" + "a" * 60 + ".example"
    uri = one_time_codes.uri(SECRET, email=email, issuer="\U00020000" * 255)
    shown = enrollments.enrollment(uri)
    assert shown and shown.key == SECRET


def test_other_texts_are_no_keys() -> None:
    other = ("", "javascript:alert(1)//?secret=A", "otpauth://totp/x", "https://[")
    long = f"otpauth://totp/{'x' * 3000}?secret=A"
    wide = f"otpauth://totp/{'€' * 1900}?secret=A"
    assert [enrollments.enrollment(uri) for uri in (*other, long, wide)] == [None] * 6
