"""Passwords that are too easy to guess are refused, wherever they are set."""

import dataclasses

import pytest
from chassis.errors import Invalid
from chassis.runtime.settings import Misconfigured, Secret
from membership import app as application
from membership.values import passwords

PERSON = ("olga.owner@customer.example", "Olga", "Owner", "Acme Ltd")


def refusal(password: str, *, with_codes: bool = False) -> str | None:
    """The code of the error, or None if the password is accepted."""
    try:
        passwords.check(password, context=PERSON, with_codes=with_codes)
    except Invalid as error:
        return str(error.extra["errors"][0]["code"])
    return None


def test_common_passwords_words_and_patterns_are_refused() -> None:
    refused = {
        "password1234567": "breached",
        "Passw0rd2024!!!!": "breached",
        "1qaz2wsx3edc4rfv": "breached",
        "iloveyouforever1": "guessable",
        "qwertyuiopasdfgh": "guessable",
        "November2026November2026": "guessable",
        "abcdefghijklmnopqrst": "guessable",
        "Acme2026 and so on": "guessable",
    }

    assert {password: refusal(password) for password in refused} == refused


def test_short_passwords_with_codes_are_checked_too() -> None:
    refused = ("sunshine", "dragon12", "11.11.1999", "qwe123rty")

    assert all(refusal(p, with_codes=True) for p in refused)
    assert refusal("kX7#vq2Lm9", with_codes=True) is None


def test_unrelated_words_and_long_texts_are_accepted() -> None:
    accepted = ("four calm otters drift", "correct horse battery", "Zwölf Boxkämpfer jagen 3 Igel")

    assert [refusal(password) for password in accepted] == [None, None, None]
    assert refusal(("one more quiet evening of " * 5)[:128]) is None


@pytest.mark.parametrize("password", ["a", "password1234567", "My Company 2026 owner"])
def test_the_first_login_follows_the_rules_too(service, password: str) -> None:
    settings = dataclasses.replace(service.settings, clientele_admin_password=Secret(password))

    with pytest.raises(Misconfigured, match=r"^CLIENTELE_ADMIN_PASSWORD: .*assword") as refused:
        application.bootstrap(settings, service.database)
    with pytest.raises(Misconfigured):
        application.add_provider(settings, service.database)

    assert password not in str(refused.value) or len(password) == 1
    assert application.bootstrap(service.settings, service.database)
