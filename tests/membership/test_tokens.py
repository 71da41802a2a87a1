"""Access tokens that are not ours, against the service's own door."""

import base64
import hmac
import json
import time

import pytest
from chassis import clock
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey
from membership.values.signing import Signer

# Tokens know no database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def _b64(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def good(world):
    return world.provider()


@pytest.fixture
def forge(world, good):
    """Tokens signed with our real key, with other contents."""
    signer = world.app.extensions["signer"]
    key, claims = signer._key, world.claims(good)

    def made(header=None, drop=(), **more):
        full = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.thumbprint()} | (header or {})
        full = {k: v for k, v in full.items() if v is not None}
        said = {k: v for k, v in (claims | more).items() if k not in drop}
        signed = f"{_b64(full)}.{_b64(said)}"
        private = serialization.load_pem_private_key(world.settings.signing_key.encode(), None)
        return f"{signed}.{_b64(private.sign(signed.encode()))}"

    return made


def _status(world, token, **kwargs):
    return world.call("GET", "/v1/me", token=token, **kwargs).status_code


def test_the_good_one_and_its_forged_twin_are_taken(world, good, forge):
    assert _status(world, good) == 200
    assert _status(world, forge()) == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "null"])
@pytest.mark.parametrize("signature", ["", "x"])
def test_alg_none_in_all_spellings(world, good, alg, signature):
    _, body, _ = good.split(".")
    assert _status(world, f"{_b64({'alg': alg, 'typ': 'at+jwt'})}.{body}.{signature}") == 401


@pytest.mark.parametrize("secret", ["pem", "raw", "jwk"])
def test_the_public_key_as_a_shared_secret(world, good, secret):
    key = world.app.extensions["signer"]._key
    secrets = {
        "pem": key.as_pem(private=False), "raw": base64.urlsafe_b64decode(key.as_dict(private=False)["x"] + "="),
        "jwk": json.dumps(key.as_dict(private=False)).encode(),
    }
    signed = f"{_b64({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.thumbprint()})}.{_b64(world.claims(good))}"
    signature = hmac.digest(secrets[secret], signed.encode(), "sha256")
    assert _status(world, f"{signed}.{_b64(signature)}") == 401


def test_another_algorithm_or_key(world, good):
    claims = world.claims(good)
    ours = world.app.extensions["signer"]._key.thumbprint()
    for key, alg in ((ECKey.generate_key("P-256"), "ES256"), (OKPKey.generate_key("Ed25519"), "Ed25519")):
        for kid in (ours, key.thumbprint(), "../../etc/passwd", "' OR 1=1", "k" * 2000):
            token = jwt.encode({"alg": alg, "typ": "at+jwt", "kid": kid}, claims, key, algorithms=[alg])
            assert _status(world, token) == 401


@pytest.mark.parametrize("more", [
    {"aud": "other"}, {"aud": ["clientele", "other"]}, {"aud": ["clientele"]}, {"iss": "clientele.example"},
    {"iss": "client"}, {"exp": 1}, {"exp": -1}, {"exp": "9999999999"}, {"exp": None}, {"exp": True}, {"sub": ""},
    {"sub": 5}, {"org": "org_x"}, {"org": ""}, {"kind": ""}, {"role": ""}, {"sid": ""}, {"role": ["owner"]},
])
def test_other_contents(world, forge, more):
    assert _status(world, forge(**more)) == 401


@pytest.mark.parametrize("name", ["aud", "iss", "exp", "iat", "nbf", "sub", "org", "kind", "role", "sid"])
def test_missing_contents(world, forge, name):
    assert _status(world, forge(drop=(name,))) == 401


def test_time(world, forge):
    now = time.time()
    assert _status(world, forge(exp=now - 31)) == 401
    assert _status(world, forge(iat=now + 31)) == 401
    assert _status(world, forge(nbf=now + 31)) == 401
    token = forge()
    world.clock.pass_(seconds=331)
    assert _status(world, token) == 401


@pytest.mark.parametrize("header", [
    {"typ": "JWT"}, {"typ": None}, {"typ": "refresh+jwt"}, {"typ": "id_token"}, {"crit": ["exp"]},
    {"crit": ["x"], "x": 1}, {"b64": False, "crit": ["b64"]}, {"jku": "https://evil.example/jwks"}, {"zip": "DEF"},
    {"x5u": "https://evil.example"}, {"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}, {"alg": "EdDSA"},
    {"kid": "unknown"},
])
def test_other_headers(world, forge, header):
    assert _status(world, forge(header)) == 401


def test_every_flipped_part(world, good):
    head, body, signature = good.split(".")
    for at in (0, len(signature) // 2, len(signature) - 3):
        other = "A" if signature[at] != "A" else "B"
        assert _status(world, f"{head}.{body}.{signature[:at]}{other}{signature[at + 1:]}") == 401
    for broken in (f"{head}.{body}.", f"{head}.{body}", f"{head}..{signature}", f"{good}.{signature}", "", "a" * 5000):
        assert _status(world, broken) == 401


def test_a_token_in_the_address_is_no_token(world, good):
    assert world.client.get(f"/v1/me?access_token={good}").status_code == 401
    assert world.client.get("/v1/me", headers={"Authorization": f"Basic {good}"}).status_code == 401


def test_the_key_before_stays_published_and_good(world, good):
    old = world.settings.signing_key
    new = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
    after = Signer(new, old)
    assert len(after.jwks()["keys"]) == 2 and not any("d" in k for k in after.jwks()["keys"])
    world.app.extensions["door"].verifier.keys = after
    assert _status(world, good) == 200
    world.app.extensions["door"].verifier.keys = Signer(new)
    assert _status(world, good) == 401
    with pytest.raises(ValueError, match="Ed25519"):
        Signer(OKPKey.generate_key("Ed448").as_pem(private=True).decode())
    with pytest.raises(ValueError, match="private"):
        Signer(OKPKey.import_key(old).as_pem(private=False).decode())


def test_instants_in_tokens_have_microseconds(world, good):
    claims = world.claims(good)
    assert claims["iat"] == claims["nbf"] and abs(claims["iat"] - clock.now().timestamp()) < 10
