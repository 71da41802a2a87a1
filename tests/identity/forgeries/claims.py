"""Forged claims."""

import json
from collections.abc import Iterator

from tests.identity.forgeries.forging import (
    ACT,
    beyond,
    encrypted,
    raw_claims,
    swapped,
    text,
    timed,
    twice,
    with_claims,
    without_act,
)
from tests.identity.forgeries.mint import ABSENT, Attack


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
