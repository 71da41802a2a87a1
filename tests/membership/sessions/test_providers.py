"""The providers that are created at a start."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.db.database import Database
from contracts import membership as messages
from membership import app as application
from membership.actions import providers


def test_the_provider_is_created_once(service):
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: application.bootstrap(service.settings, service.database), range(4))
        )
    assert [m for m in made if m] == [("admin@example.com", None)]
    created = service.published(messages.ProviderCreated)
    assert len(created) == 1 and created[0].owner.verified
    assert service.log_in("admin@example.com")["role"] == "owner"


def test_without_a_password_in_the_settings_one_is_generated(database: Database, service):
    login = application.bootstrap(
        dataclasses.replace(service.settings, clientele_admin_password=""), database
    )
    assert login.password and len(login.password) >= 16
    service.log_in(login.email, login.password)


def test_another_provider_is_created_once_and_a_known_person_keeps_their_password(service) -> None:
    settings = dataclasses.replace(
        service.settings,
        clientele_provider_name="Second",
        clientele_admin_email="second@provider.example",
        clientele_admin_password="",
    )

    first = application.add_provider(settings, service.database)
    again = application.add_provider(
        dataclasses.replace(settings, clientele_provider_name="Third"), service.database
    )

    assert first.password and again.password is None
    assert service.log_in("second@provider.example", first.password)["role"] == "owner"
    with pytest.raises(providers.ProviderExists):
        application.add_provider(settings, service.database)
