"""The key of an authenticator app as people take it over: as text, as a link and as a QR code."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import parse_qs, urlsplit

import segno

_MAX_URI = 2000  # longer ones do not fit a QR code that a phone can read


@dataclass(frozen=True)
class Enrollment:
    """``qr_path``: the dark squares as an SVG path in a square of ``qr_size``, margin included."""

    uri: str
    key: str
    qr_size: int
    qr_path: str


def enrollment(uri: str) -> Enrollment | None:
    """The key in an ``otpauth:`` URI. None: the text is no such URI."""
    if not (uri.startswith("otpauth://totp/") and uri.isascii() and len(uri) <= _MAX_URI):
        return None
    keys = parse_qs(urlsplit(uri).query).get("secret")
    if not keys:
        return None
    rows = list(segno.make_qr(uri).matrix_iter())
    return Enrollment(uri, keys[0], len(rows), _path(rows))


def _path(rows: Iterable[Iterable[int]]) -> str:
    path = []
    for y, row in enumerate(rows):
        x = 0
        for dark, run in groupby(row):
            width = len(list(run))
            if dark:
                path.append(f"M{x} {y}h{width}v1h-{width}z")
            x += width
    return "".join(path)
