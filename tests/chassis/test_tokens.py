"""Which keys tokens are verified with, and what is cached. tests/identity/test_forgeries.py tests
what is rejected."""

from typing import Any

import pytest
from chassis.auth import tokens
from chassis.auth.bearer import InvalidToken
from chassis.auth.tokens import RemoteKeys, Verifier
from chassis.errors import Unavailable
from joserfc.jwk import OKPKey

from tests.chassis.sample_service import keys, token

STRANGER = OKPKey.generate_key("Ed25519", {"kid": "stranger"})


def test_a_verified_token_is_rejected_once_its_key_is_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    responses = [keys(), {"keys": [STRANGER.as_dict(private=False)]}]
    remote = RemoteKeys(lambda: responses.pop(0) if len(responses) > 1 else responses[0])
    fresh, signed = Verifier(remote), token()
    assert fresh.verify(signed)
    remote._at -= 301
    with pytest.raises(InvalidToken):
        fresh.verify(signed)


def test_the_number_of_cached_tokens_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_CACHED_TOKENS", 20)
    fresh = Verifier(RemoteKeys(keys))
    for n in range(30):
        fresh.verify(token(jti=str(n)))
    assert len(fresh._verified[1]) == 10


def test_an_unknown_key_is_fetched_immediately() -> None:
    fetches: list[int] = []
    new = OKPKey.generate_key("Ed25519", {"kid": "new"})

    def fetch() -> dict[str, Any]:
        fetches.append(1)
        return keys() if len(fetches) == 1 else {"keys": [new.as_dict(private=False)]}

    remote = RemoteKeys(fetch)
    remote.key_set()
    remote._at -= 31

    assert Verifier(remote).verify(token(new))
    assert len(fetches) == 2


def test_forged_tokens_do_not_cause_repeated_fetches() -> None:
    fetches: list[int] = []

    def fetch() -> dict[str, Any]:
        fetches.append(1)
        return keys()

    ours = Verifier(RemoteKeys(fetch))

    for _ in range(20):
        with pytest.raises(InvalidToken):
            ours.verify(token(STRANGER))

    assert len(fetches) == 1


def test_cached_keys_outlive_an_unavailable_issuer() -> None:
    responses: list[Any] = [keys()]
    remote = RemoteKeys(lambda: responses.pop(0))
    remote.key_set()
    remote._at -= 1000

    assert Verifier(remote).verify(token())


@pytest.mark.parametrize(
    "response",
    [{}, {"code": "service_unavailable"}, {"keys": "no"}, ValueError("not json")],
    ids=str,
)
def test_without_any_keys_requests_are_503_and_not_401(response: Any) -> None:
    def fetch() -> Any:
        if isinstance(response, Exception):
            raise response
        return response

    with pytest.raises(Unavailable):
        Verifier(RemoteKeys(fetch)).verify(token())
