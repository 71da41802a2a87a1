"""Email addresses: one spelling for one mailbox, domains by IDNA 2008, and nothing that a header or
a mail server could read as something else."""

import marshmallow as ma
import pytest
from chassis import email_addresses
from chassis.http.fields import Email


@pytest.mark.parametrize(
    ("typed", "stored", "in_headers"),
    [
        (" Ann.Lee+x@Example.COM ", "Ann.Lee+x@example.com", "Ann.Lee+x@example.com"),
        ("a@straße.example", "a@straße.example", "a@xn--strae-oqa.example"),
        ("a@STRAẞE.example", "a@straße.example", "a@xn--strae-oqa.example"),
        ("a@XN--Strae-oqa.example", "a@straße.example", "a@xn--strae-oqa.example"),
        ("a@strasse.example", "a@strasse.example", "a@strasse.example"),
        ("a@πόλος.example", "a@πόλος.example", "a@xn--wxaibk1c.example"),
        ("a@نامه\u200cای.com", "a@نامه\u200cای.com", "a@xn--mgba3gch31f060k.com"),
        ("øyvind@BÜCHER.example", "øyvind@bücher.example", "øyvind@xn--bcher-kva.example"),
        ("a\uff4en@bu\u0308cher.example", "ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("हिन्दी@l·l.cat", "हिन्दी@l·l.cat", "हिन्दी@xn--ll-0ea.cat"),
    ],
)
def test_an_address_is_stored_in_one_spelling_and_sent_in_ascii(
    typed: str, stored: str, in_headers: str
) -> None:
    assert email_addresses.parse(typed) == stored
    assert email_addresses.parse(stored) == stored
    assert email_addresses.in_headers(typed) == in_headers
    assert email_addresses.parse(in_headers) == stored
    assert email_addresses.key(in_headers) == email_addresses.key(typed)


REFUSED = {
    "two recipients": "a@x.example,b@x.example",
    "two recipients by a full-width comma": "a，b@x.example",
    "a small comma": "a﹐b@x.example",
    "an Arabic comma": "a،b@x.example",
    "a full-width semicolon": "a；b@x.example",
    "a Greek question mark": "a\u037eb@x.example",
    "a full-width at sign": "a＠x.example",
    "a second at sign": "a@b@x.example",
    "a small at sign": "a﹫b@x.example",
    "a full-width angle": "＜a＞@x.example",
    "a name": "Ann <a@x.example>",
    "a comment": "a(b)@x.example",
    "quotes": '"a b"@x.example',
    "a header": "a@x.example\r\nBcc: b@x.example",
    "a header before": "a\nBcc:b@x.example",
    "a line separator": "a\u2028b@x.example",
    "a zero-width space": "a\u200bb@x.example",
    "a direction": "a\u202eb@x.example",
    "a surrogate": "a\ud800@x.example",
    "a fraction with a slash": "½@x.example",
    "a picture": "😀@x.example",
    "a mark at first": "\u0301a@x.example",
    "a full-width dot in the domain": "a@x．example",
    "an ideographic dot in the domain": "a@x。example",
    "a number with a dot": "a@⒈x.example",
    "a snowman": "a@☃.example",
    "a snowman in ASCII": "a@xn--n3h.example",
    "no punycode": "a@xn--a.example",
    "reserved hyphens": "a@ab--cd.example",
    "mixed directions": "a@אב.1.com",
    "an underscore": "a@x_y.example",
    "an empty label": "a@x..example",
    "a dot at the end": "a@x.example.",
    "a hyphen at the end": "a@x-.example",
    "an IP address": "a@192.0.2.1",
    "a literal": "a@[192.0.2.1]",
    "no dot": "a@localhost",
    "a long label": f"a@{'x' * 64}.example",
    "too long": f"{'a' * 240}@xxxxxx.example",
    "too long in ASCII": f"{'a' * 238}@üüüüüü.example",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_taken_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(ma.ValidationError):
        Email().deserialize(REFUSED[name])
    with pytest.raises(ValueError, match=r"."):
        email_addresses.in_headers(REFUSED[name])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a@straße.example", True),
        ("a@πόλος.example", True),
        ("a@نامه\u200cای.com", True),
        ("a，b@x.example", False),
        ("a@bücher.example", False),
        ("a@xn--strae-oqa.example", False),
        ("a@strasse.example", False),
    ],
)
def test_addresses_whose_mail_went_elsewhere_are_known(address: str, expected: bool) -> None:
    assert email_addresses.was_delivered_elsewhere(address) is expected
