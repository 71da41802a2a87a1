"""Whose keys tokens are checked with, and what is remembered. (What is refused:
tests/identity/test_forgeries.py.)"""

from typing import Any

import pytest
from chassis.auth import tokens
from chassis.auth.tokens import InvalidToken, RemoteKeys, Verifier
from chassis.errors import Unavailable
from joserfc.jwk import OKPKey

from tests.chassis.doors import keys, token

STRANGER = OKPKey.generate_key("Ed25519", {"kid": "stranger"})


def test_a_token_that_was_good_is_refused_once_its_key_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [keys(), {"keys": [STRANGER.as_dict(private=False)]}]
    remote = RemoteKeys(lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    fresh, signed = Verifier(remote), token()
    assert fresh.verify(signed)
    remote._at -= 301
    with pytest.raises(InvalidToken):
        fresh.verify(signed)


def test_only_so_many_good_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_CACHED_TOKENS", 20)
    fresh = Verifier(RemoteKeys(keys))
    for n in range(30):
        fresh.verify(token(jti=str(n)))
    assert len(fresh._verified[1]) == 10


def test_a_new_key_is_asked_for_at_once_when_a_token_names_it() -> None:
    asked: list[int] = []
    new = OKPKey.generate_key("Ed25519", {"kid": "new"})

    def fetch() -> dict[str, Any]:
        asked.append(1)
        return keys() if len(asked) == 1 else {"keys": [new.as_dict(private=False)]}

    remote = RemoteKeys(fetch)
    remote.key_set()
    remote._at -= 31

    assert Verifier(remote).verify(token(new))
    assert len(asked) == 2


def test_wrong_tokens_do_not_make_us_ask_the_issuer_again_and_again() -> None:
    asked: list[int] = []

    def fetch() -> dict[str, Any]:
        asked.append(1)
        return keys()

    ours = Verifier(RemoteKeys(fetch))

    for _ in range(20):
        with pytest.raises(InvalidToken):
            ours.verify(token(STRANGER))

    assert len(asked) == 1


def test_keys_that_are_known_outlive_an_issuer_that_is_away() -> None:
    answers: list[Any] = [keys()]
    remote = RemoteKeys(lambda: answers.pop(0))
    remote.key_set()
    remote._at -= 1000

    assert Verifier(remote).verify(token())


@pytest.mark.parametrize(
    "answer", [{}, {"code": "service_unavailable"}, {"keys": "no"}, ValueError("not json")], ids=str
)
def test_without_any_keys_nobody_is_let_in_and_nobody_is_called_a_stranger(answer: Any) -> None:
    def fetch() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(Unavailable):
        Verifier(RemoteKeys(fetch)).verify(token())
