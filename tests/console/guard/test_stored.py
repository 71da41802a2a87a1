"""What the console stores, encrypted and limited."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest
from chassis.db.database import Database
from chassis.runtime import clock
from console import actions
from console.models import Browser as BrowserRow
from console.models import Draft, WorkspaceSession
from console.values.sealing import opens, seal, unseal
from joserfc import jwe
from joserfc.jwk import OctKey
from sqlalchemy import update

from tests.console.browser import Browser
from tests.console.guard.rows import all_text, count_of, only_row, send_stale_form
from tests.console.provider import PASSWORD, Provider

pytestmark = pytest.mark.both_databases


def test_a_stolen_database_is_of_no_use(
    console: Browser, provider: Provider, store: Database
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)
    send_stale_form(console, acme.id, "typed in confidence")
    tokens = unseal(console.cookies["clientele"], only_row(store, WorkspaceSession).tokens)
    everything = all_text(store)

    assert {"access", "refresh"} == tokens.keys() and all(tokens.values())
    for secret in (*tokens.values(), console.cookies["clientele"], PASSWORD, "typed in confidence"):
        assert secret not in everything
    for kept in (only_row(store, BrowserRow).secret_hash.hex(), only_row(store, BrowserRow).id, ""):
        assert opens(kept, only_row(store, WorkspaceSession).tokens) is None


def test_a_cookie_decrypts_values_encrypted_as_jwe() -> None:
    key = OctKey.import_key(sha256(b"clientele console seal\0one").digest())
    stored = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, b'{"a": 1}', key)

    assert unseal("one", stored) == {"a": 1}
    assert opens("other", stored) is None
    assert opens("one", "a.b.c.d.e") is None


def test_a_cookie_decrypts_only_unchanged_values_of_its_own() -> None:
    sealed = seal("one", {"a": 1})

    assert unseal("one", sealed) == {"a": 1} and seal("one", {"a": 1}) != sealed
    assert opens("other", sealed) is None
    for at in (1, len(sealed) // 2, len(sealed) - 2):
        assert (
            opens("one", sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :])
            is None
        )


def test_drafts_belong_to_one_browser(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    acme, one, other = provider.customer("Acme", accept=False), browser(), browser()
    provider.owner.sign_in(one)
    provider.owner.sign_in(other)
    kept = send_stale_form(one, acme.id, "for my eyes only")

    assert one.get(kept).forms[-1].fields["reason"] == "for my eyes only"
    assert other.get(kept).forms[-1].fields["reason"] == ""
    for forged in ("x", "evt_x", "org_01m83g4jphe13971spbmh1ymjk", "'", "%00"):
        assert one.get(f"{kept.partition('=')[0]}={forged}").status == 200


def test_the_number_of_drafts_is_limited(
    console: Browser, provider: Provider, store: Database
) -> None:
    acme = provider.customer("Acme", accept=False)
    provider.owner.sign_in(console)

    kept = [send_stale_form(console, acme.id, f"the {n}th") for n in range(23)]

    assert count_of(store, Draft) == 20
    assert console.get(kept[-1]).forms[-1].fields["reason"] == "the 22th"
    assert console.get(kept[0]).forms[-1].fields["reason"] == ""


def test_the_number_of_a_persons_browser_sessions_is_limited(
    browser: Callable[[], Browser],
    provider: Provider,
    store: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(actions, "MAX_BROWSERS", 2)
    first, second, third, other = browser(), browser(), browser(), browser()
    acme = provider.customer("Acme")
    acme.owner.sign_in(other)
    for each in (first, second, third):
        provider.owner.sign_in(each)

    pages = [each.get(each.at("/customers")).path for each in (second, third)]

    assert not [path for path in pages if path.startswith("/sign-in")]
    assert first.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")
    assert other.get(other.at(f"/c/{acme.id}/overview")).status == 200, "another person's"
    assert count_of(store, BrowserRow) == 3


def test_expired_sessions_and_drafts_are_deleted(
    browser: Callable[[], Browser], provider: Provider, store: Database
) -> None:
    old, new = browser(), browser()
    provider.owner.sign_in(old)
    with store.transaction() as session:
        yesterday = clock.now() - timedelta(hours=24, minutes=1)
        session.execute(update(BrowserRow).values(started_at=yesterday, used_at=yesterday))

    assert old.get(f"/at/{provider.id}/customers").path.startswith("/sign-in")
    provider.owner.sign_in(new)

    assert count_of(store, BrowserRow) == count_of(store, WorkspaceSession) == 1
