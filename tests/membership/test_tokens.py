"""The signing keys and the claims of access tokens. (Forged tokens: tests/identity.)"""

import pytest
from chassis.runtime import clock
from joserfc.jwk import OKPKey
from membership.values.signing import Signer

# Tokens know no database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def good(service):
    return service.provider()


def test_the_previous_key_stays_published(service):
    old = service.settings.signing_key
    new = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
    after = Signer(new, old)
    assert len(after.jwks()["keys"]) == 2 and not any("d" in k for k in after.jwks()["keys"])
    with pytest.raises(ValueError, match="Ed25519"):
        Signer(OKPKey.generate_key("Ed448").as_pem(private=True).decode())
    with pytest.raises(ValueError, match="private"):
        Signer(OKPKey.import_key(old).as_pem(private=False).decode())


def test_instants_in_tokens_have_microseconds(service, good):
    claims = service.claims(good)
    assert claims["iat"] == claims["nbf"] and abs(claims["iat"] - clock.now().timestamp()) < 10
