"""Forged access tokens: one table, for every endpoint."""

import base64
import hmac
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519
ALL = ["Ed25519", "Ed448", "EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256", "HS256"]


@dataclass(frozen=True)
class Mint:
    """What tokens are made of. ``key``: the issuer's own, so that a table can also ask what we
    would believe if it were signed by us; ``good``: a token as it was issued; ``now``: the time at
    every door."""

    key: OKPKey
    good: str
    now: float
    kid: str = field(init=False)
    claims: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kid", self.key.thumbprint())
        object.__setattr__(self, "claims", json.loads(decoded(self.good.split(".")[1])))

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "Ed25519", "typ": "at+jwt", "kid": self.kid}

    def body(self, **changes: Any) -> dict[str, Any]:
        """The claims with changes; what is ABSENT is left out."""
        return {
            name: value for name, value in {**self.claims, **changes}.items() if value is not ABSENT
        }

    def under(
        self, header: Mapping[str, Any] | bytes, claims: Any = None, *, key: Any = None
    ) -> str:
        """Any header and claims (as JSON, or as these very bytes), with a true signature of our
        key, or of another."""
        signed = f"{part(header)}.{part(self.claims if claims is None else claims)}"
        return f"{signed}.{part((key or self.key).private_key.sign(signed.encode()))}"

    def with_claims(self, **changes: Any) -> str:
        """Our header and signature over other claims."""
        return self.under(self.header, self.body(**changes))

    def with_header(self, **changes: Any) -> str:
        """Our signature under another header."""
        return self.under({n: v for n, v in {**self.header, **changes}.items() if v is not ABSENT})

    def public(self) -> dict[str, Any]:
        return dict(self.key.as_dict(private=False))


ABSENT: Any = object()
Attack = Callable[[Mint], str]


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


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


def shapes() -> Iterator[tuple[str, Attack]]:
    yield "two parts", text(lambda good: good.rpartition(".")[0])
    yield "four parts", text(lambda good: good + ".x")
    yield "the token twice", text(lambda good: f"{good}.{good}")
    yield "empty", text(lambda good: "")
    yield "dots", text(lambda good: "..")
    yield "nonsense", text(lambda good: "a.b.c")
    yield "a null byte", text(lambda good: good.replace(".", "\0.", 1))
    yield "a null byte at the end", text(lambda good: good + "\0")
    yield "a newline inside", text(lambda good: good.replace(".", ".\n", 1))
    yield "a blank inside", text(lambda good: good[:50] + " " + good[50:])
    yield "padded", text(lambda good: good + "==")
    yield "characters of no alphabet", text(lambda good: good[:50] + "!*" + good[50:])
    yield "letters beyond ASCII", text(lambda good: good.replace("e", "\xe9", 1))
    yield (
        "full-width letters",
        text(lambda good: good.replace("e", "\uff45", 1).encode().decode("latin-1")),
    )
    yield "with a comma and another", text(lambda good: f"{good},{good}")
    yield "with a comma and a scheme", text(lambda good: f"{good},Bearer {good}")
    yield "a megabyte of claims", with_claims(name="x" * 1_000_000)
    yield "a megabyte behind it", text(lambda good: good + "a" * 1_000_000)
    yield "longer than we make them", with_claims(name="x" * 3200)
    yield "encrypted to the public key", encrypted
    yield "five empty parts", text(lambda good: "....")
    yield "a token in a token", lambda mint: mint.under(mint.header, mint.good.encode())
    yield (
        "a token in a token, said so",
        lambda mint: mint.under({**mint.header, "cty": "JWT"}, mint.good.encode()),
    )
    yield (
        "as JSON",
        text(
            lambda good: json.dumps(
                dict(zip(("protected", "payload", "signature"), good.split("."), strict=True))
            )
        ),
    )
    yield "claims are a list", lambda mint: mint.under(mint.header, [mint.claims])
    yield "claims are text", lambda mint: mint.under(mint.header, "owner")
    yield "claims are null", lambda mint: mint.under(mint.header, b"null")
    yield "claims are deep", lambda mint: mint.under(mint.header, b'{"a":' + b"[" * 2500)
    yield "claims in UTF-16", raw_claims(lambda raw: raw.decode().encode("utf-16"))
    yield "claims with a mark before them", raw_claims(lambda raw: b"\xef\xbb\xbf" + raw)
    yield (
        "claims that are no UTF-8",
        raw_claims(lambda raw: raw.replace(b'"owner"', b'"\xffowner"')),
    )
    yield "something after the claims", raw_claims(lambda raw: raw + b"{}")
    yield "a comment in the claims", raw_claims(lambda raw: raw + b"//")


def contents() -> Iterator[tuple[str, Attack]]:
    for name in ("iss", "aud"):
        for wrong in (
            "other",
            "https://evil.example",
            "client",
            "clientele2",
            "clientele.example",
            "CLIENTELE",
            "",
            7,
            None,
            True,
            ["clientele"],
            ["clientele", "other"],
            {"clientele": 1},
            ABSENT,
        ):
            yield (
                f"{name} {'missing' if wrong is ABSENT else repr(wrong)}",
                with_claims(**{name: wrong}),
            )
    for name in ("iat", "nbf", "exp"):
        for odd in (
            "1",
            "9999999999",
            "",
            None,
            True,
            [],
            {},
            float("nan"),
            float("inf"),
            10**400,
            ABSENT,
        ):
            shown = "missing" if odd is ABSENT else "very large" if odd == 10**400 else repr(odd)
            yield f"{name} {shown}", with_claims(**{name: odd})
        yield f"{name} beyond any number", beyond(name)
    yield "exp negative", with_claims(exp=-1)
    yield "exp nought", with_claims(exp=0)
    yield "exp just past", timed("exp", -31)
    yield "exp just past, in whole seconds", lambda mint: mint.with_claims(exp=int(mint.now) - 31)
    yield "exp far ahead", timed("exp", 10 * 365 * 86400)
    yield "exp two hours ahead", timed("exp", 7200)
    yield "nbf to come", timed("nbf", 31)
    yield "iat to come", timed("iat", 31)
    yield "iat long ago, exp to come", timed("iat", -86400)


def words() -> Iterator[tuple[str, Attack]]:
    for name in ("sub", "org", "sid", "kind", "role"):
        for wrong in ("", 7, None, True, ["owner"], {"a": "b"}, ABSENT):
            yield (
                f"{name} {'missing' if wrong is ABSENT else repr(wrong)}",
                with_claims(**{name: wrong}),
            )
    for kind in ("Provider", "provider ", "staff", "service"):
        yield f"kind {kind!r}", with_claims(kind=kind)
    yield "org of another kind", with_claims(org="mem_01h455vb4pex5vsknk084sn02q")
    yield "org in capitals", lambda mint: mint.with_claims(org=mint.claims["org"].upper())
    yield "org with a newline", lambda mint: mint.with_claims(org=mint.claims["org"] + "\n")
    yield "org with a null byte", lambda mint: mint.with_claims(org=mint.claims["org"] + "\0")
    for name in ("name", "scope", "mid", "missing", "must_prove", "proved"):
        for wrong in (["x"], {"x": 1}, None, "x" if name in ("must_prove", "proved") else 7):
            yield f"{name} {wrong!r}", with_claims(**{name: wrong})
    for wrong in (-1, True, 10**400, float("nan")):
        yield (
            f"proved {'very large' if wrong == 10**400 else repr(wrong)}",
            with_claims(proved=wrong),
        )
    yield "proved in the future", timed("proved", 31)
    for name, other in (
        ("role", "viewer"),
        ("org", "org_01k5vqk0mze4ab7x9s2fwnt3hc"),
        ("sub", "idn_victim"),
        ("exp", 1),
        ("aud", "other"),
        ("x", 1),
    ):
        yield (
            f"{name} twice",
            twice(name, other)
            if name != "x"
            else raw_claims(lambda raw: b'{"x":1,"x":1,' + raw[1:]),
        )
    yield (
        "act twice inside",
        raw_claims(
            lambda raw: raw[:-1] + b',"act":' + json.dumps(ACT).encode()[:-1] + b',"sub":"idn_y"}}'
        ),
    )


def people() -> Iterator[tuple[str, Attack]]:
    yield "another person under the signature", swapped(sub="idn_victim")
    yield "another organization under the signature", swapped(org="org_01k5vqk0mze4ab7x9s2fwnt3hc")
    yield "another role under the signature", swapped(role="manager")
    yield "another session under the signature", swapped(sid="ses_other")
    yield "a later end under the signature", lambda mint: swapped(exp=mint.claims["exp"] + 60)(mint)
    yield (
        "an API key's role under the signature",
        swapped(role="api_key", scope="cust:read pay:adjust cust:write"),
    )
    yield (
        "a proof under the signature",
        lambda mint: swapped(proved=mint.now, must_prove=False)(mint),
    )
    yield "act added under the signature", swapped(act=ACT)
    yield "act taken out under the signature", without_act
    for name in ACT:
        yield (
            f"act without {name}",
            with_claims(act={key: value for key, value in ACT.items() if key != name}),
        )
        for wrong in ("", 7, None, ["full"]):
            yield f"act with {name} {wrong!r}", with_claims(act={**ACT, name: wrong})
    for wrong in (None, True, [], {}, "idn_x", [ACT], 7):
        yield f"act is {'a list' if wrong == [ACT] else repr(wrong)}", with_claims(act=wrong)
    yield "act in act", with_claims(act={**ACT, "act": ACT})
    yield "act in act, empty", with_claims(act={**ACT, "act": None})
    yield "act of another mode", with_claims(act={**ACT, "mode": "root"})
    yield "act with an access nobody has", with_claims(act={**ACT, "access": "write"})
    yield "an API key that acts", with_claims(role="api_key", act=ACT)


def attacks() -> dict[str, Attack]:
    """Every one, by a name that says what it is."""
    made: dict[str, Attack] = {}
    for kind in (signatures, keys, broken, headers, shapes, contents, words, people):
        for name, attack in kind():
            assert name not in made, name
            made[name] = attack
    return made


ATTACKS = attacks()
