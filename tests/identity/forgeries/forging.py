"""Ways to forge an access token."""

import hmac
import json
import zlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe, jws
from joserfc.jwk import OctKey

from tests.identity.forgeries.mint import Attack, Mint, decoded, part

ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519
ALL = ["Ed25519", "Ed448", "EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256", "HS256"]


def by_other(alg: str, key: Any, kid: str | None = None, **header: Any) -> Attack:
    """Signed well, by somebody else."""
    return lambda mint: jws.serialize_compact(
        {"alg": alg, "typ": "at+jwt", "kid": mint.kid if kid is None else kid, **header},
        json.dumps(mint.claims).encode(),
        key,
        algorithms=ALL,
    )


def unsigned(alg: Any, signature: str) -> Attack:
    def made(mint: Mint) -> str:
        given = {"good": mint.good.split(".")[2], "one byte": "eA", "none": ""}[signature]
        return f"{part({**mint.header, 'alg': alg})}.{part(mint.claims)}.{given}"

    return made


def public_as_secret(alg: str, form: str) -> Attack:
    def made(mint: Mint) -> str:
        secret = {
            "PEM": mint.key.as_pem(private=False),
            "PEM without its end": mint.key.as_pem(private=False).strip(),
            "DER": mint.key.as_der(private=False),
            "raw": decoded(mint.public()["x"]),
            "nothing": b"",
            "JWK": json.dumps(mint.public()).encode(),
            "kid": mint.kid.encode(),
        }[form]
        signed = f"{part({**mint.header, 'alg': alg})}.{part(mint.claims)}"
        return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha' + alg[2:]))}"

    return made


def es256(how: str) -> Attack:
    def made(mint: Mint) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = f"{part({**mint.header, 'alg': 'ES256'})}.{part(mint.claims)}"
        der = key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{signed}.{part(der if how == 'DER' else bytes(64))}"

    return made


def changed(place: int, how: str) -> Attack:
    """One bit of a part turned over, at its beginning, middle or end."""

    def made(mint: Mint) -> str:
        parts = mint.good.split(".")
        raw = bytearray(decoded(parts[place]))
        raw[{"first": 0, "middle": len(raw) // 2, "last": -1}[how]] ^= 1
        parts[place] = part(bytes(raw))
        return ".".join(parts)

    return made


def other_s(mint: Mint) -> str:
    """The other number that solves the same equation."""
    head, body, signature = mint.good.split(".")
    raw = decoded(signature)
    larger = int.from_bytes(raw[32:], "little") + ORDER
    return f"{head}.{body}.{part(raw[:32] + larger.to_bytes(32, 'little'))}"


def swapped(**claims: Any) -> Attack:
    """Other claims under the signature of the good token."""

    def made(mint: Mint) -> str:
        head, _, signature = mint.good.split(".")
        return f"{head}.{part(mint.body(**claims))}.{signature}"

    return made


def without_act(mint: Mint) -> str:
    """A support session's token from which the supporter was taken."""
    head, body, signature = mint.with_claims(act=ACT).split(".")
    claims = json.loads(decoded(body))
    del claims["act"]
    return f"{head}.{part(claims)}.{signature}"


def with_claims(**claims: Any) -> Attack:
    return lambda mint: mint.with_claims(**claims)


def with_header(**header: Any) -> Attack:
    return lambda mint: mint.with_header(**header)


def text(change: Callable[[str], str]) -> Attack:
    """The good token with its text changed."""
    return lambda mint: change(mint.good)


def twice(name: str, other: Any) -> Attack:
    """One claim twice, the true one last: a reader that takes the first one reads something
    else."""

    def made(mint: Mint) -> str:
        return mint.under(
            mint.header, f'{{"{name}":{json.dumps(other)},{json.dumps(mint.claims)[1:]}'.encode()
        )

    return made


def beyond(name: str) -> Attack:
    """A time that JSON can write and no number can hold."""
    return raw_claims(
        lambda raw: raw.replace(f'"{name}": '.encode(), f'"{name}": 1e400, "x": '.encode())
    )


def raw_claims(change: Callable[[bytes], bytes]) -> Attack:
    return lambda mint: mint.under(mint.header, change(json.dumps(mint.claims).encode()))


def timed(name: str, seconds: float) -> Attack:
    return lambda mint: mint.with_claims(**{name: mint.now + seconds})


def encrypted(mint: Mint) -> str:
    key = OctKey.import_key(decoded(mint.public()["x"]))
    return jwe.encrypt_compact(
        {"alg": "dir", "enc": "A256GCM", "typ": "at+jwt", "kid": mint.kid},
        json.dumps(mint.claims).encode(),
        key,
    )


def deflated(mint: Mint) -> str:
    packer = zlib.compressobj(wbits=-15)
    return mint.under(
        {**mint.header, "zip": "DEF"},
        packer.compress(json.dumps(mint.claims).encode()) + packer.flush(),
    )


ACT = {"sub": "idn_x", "org": "org_x", "sid": "ses_x", "mode": "login_as", "access": "full"}
