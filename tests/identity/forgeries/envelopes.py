"""Forged signatures, keys and headers."""

import json
from collections.abc import Iterator
from typing import Any

from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.identity.forgeries.forging import (
    by_other,
    changed,
    deflated,
    es256,
    other_s,
    public_as_secret,
    text,
    unsigned,
    with_header,
)
from tests.identity.forgeries.mint import ABSENT, Attack, part

STRANGER = OKPKey.generate_key("Ed25519")
STRANGERS_KID = STRANGER.thumbprint()
STRANGERS: dict[str, Any] = {
    "Ed25519": STRANGER,
    "EdDSA": STRANGER,
    "Ed448": OKPKey.generate_key("Ed448"),
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "ES512": ECKey.generate_key("P-521"),
    "RS256": RSAKey.generate_key(2048),
    "PS256": RSAKey.generate_key(2048),
    "HS256": OctKey.generate_key(256),
}
KIDS = {
    "unknown": "unknown",
    "a path": "../../../../dev/null",
    "SQL": "' OR '1'='1' --",
    "very long": "k" * 2000,
    "an address": "https://evil.example/keys",
    "empty": "",
    "with a null byte": "a\0b",
}


def signatures() -> Iterator[tuple[str, Attack]]:
    for alg in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "null",
        None,
        0,
        False,
        ["Ed25519"],
        "ED25519",
        "ed25519",
    ):
        for signature in ("none", "one byte", "good"):
            yield f"alg {alg!r}, signature {signature}", unsigned(alg, signature)
    for alg in ("HS256", "HS384", "HS512"):
        for form in ("PEM", "PEM without its end", "DER", "raw", "nothing", "JWK", "kid"):
            yield f"{alg} with the public key as {form}", public_as_secret(alg, form)
    for alg, key in STRANGERS.items():
        yield f"{alg} by another key under our kid", by_other(alg, key)
        yield f"{alg} by another key under its kid", by_other(alg, key, key.thumbprint())


def keys() -> Iterator[tuple[str, Attack]]:
    for name, kid in KIDS.items():
        yield f"another key, kid {name}", by_other("Ed25519", STRANGER, kid)
        yield f"our key, kid {name}", with_header(kid=kid)
    yield "ES256 of two zeros", es256("zeros")
    yield "ES256 in DER", es256("DER")
    yield "EdDSA, the old name of our algorithm", with_header(alg="EdDSA")
    yield "alg missing", with_header(alg=ABSENT)
    yield "kid missing", with_header(kid=ABSENT)
    for odd in (7, None, ["a"], {"a": 1}):
        yield f"kid is {odd!r}", with_header(kid=odd)


def broken() -> Iterator[tuple[str, Attack]]:
    yield "signature stripped", text(lambda good: good.rpartition(".")[0] + ".")
    yield "signature of zeros", text(lambda good: good.rpartition(".")[0] + "." + part(bytes(64)))
    yield (
        "signature of another token",
        lambda m: m.good.rpartition(".")[0] + "." + m.with_claims(jti="x").split(".")[2],
    )
    yield "signature with another s", other_s
    for number in (1, 2, 10, 80):
        yield f"truncated by {number}", text(lambda good, number=number: good[:-number])  # type: ignore[misc]
    for place, name in enumerate(("header", "claims", "signature")):
        for where in ("first", "middle", "last"):
            yield f"a bit of the {name} turned, {where}", changed(place, where)


def headers() -> Iterator[tuple[str, Attack]]:
    own = STRANGER.as_dict(private=False)
    yield "own key in the header", by_other("Ed25519", STRANGER, STRANGERS_KID, jwk=own)
    yield "own key in the header under our kid", by_other("Ed25519", STRANGER, jwk=own)
    yield "our key in the header", lambda mint: mint.with_header(jwk=mint.public())
    for name in ("jku", "x5u"):
        yield (
            f"{name} of another",
            by_other("Ed25519", STRANGER, STRANGERS_KID, **{name: "https://evil.example/keys"}),
        )
        yield f"{name} under our signature", with_header(**{name: "https://evil.example/keys"})
    yield "x5c", with_header(x5c=["MIIB"])
    yield "x5t", with_header(x5t="eA")
    yield "crit with a name nobody knows", with_header(crit=["x"], x=1)
    yield "crit with a known name", with_header(crit=["exp"], exp=1)
    yield "crit, empty", with_header(crit=[])
    yield "b64 false", with_header(b64=False, crit=["b64"])
    yield "zip by name only", with_header(zip="DEF")
    yield "zip in truth", deflated
    yield "cty", with_header(cty="JWT")
    yield "a header nobody knows", with_header(extra=1)
    for typ in (
        "JWT",
        "refresh+jwt",
        "id_token",
        "invitation",
        "at+jwt ",
        "AT+JWT",
        "application/at+jwt",
        "",
        None,
        7,
        ["at+jwt"],
        ABSENT,
    ):
        yield f"typ {'missing' if typ is ABSENT else repr(typ)}", with_header(typ=typ)
    yield (
        "typ twice",
        lambda mint: mint.under(f'{{"typ":"JWT",{json.dumps(mint.header)[1:]}'.encode()),
    )
    yield (
        "alg twice",
        lambda mint: mint.under(f'{{"alg":"none",{json.dumps(mint.header)[1:]}'.encode()),
    )
    yield (
        "kid twice",
        lambda mint: mint.under(f'{{"kid":"x",{json.dumps(mint.header)[1:]}'.encode()),
    )
    yield "header in UTF-16", lambda mint: mint.under(json.dumps(mint.header).encode("utf-16"))
    yield "header is a list", lambda mint: mint.under([mint.header])  # type: ignore[arg-type]
    yield "header is deep", lambda mint: f"{part(b'[' * 2900)}.e30.eA"
