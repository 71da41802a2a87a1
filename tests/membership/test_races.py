"""Concurrent changes on PostgreSQL, which locks rows one by one."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from chassis.runtime import clock, ids
from membership import models
from membership.actions import erasure, organizations
from sqlalchemy import event, select

from tests.membership.support_setup import support_setup

OLGA = "olga@customer.example"
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
_LOCKING = re.compile(r"FROM (\w+)(?s:.*) FOR (?:NO KEY )?(SHARE|UPDATE)")


@contextmanager
def _watching_locks(service, on_lock) -> Iterator[None]:
    """Calls ``on_lock`` with the table and the kind of each row lock before it is taken."""

    def on_execute(_connection, _cursor, statement, *_):
        if match := _LOCKING.search(statement):
            on_lock(*match.groups())

    event.listen(service.database.engine, "before_cursor_execute", on_execute)
    try:
        yield
    finally:
        event.remove(service.database.engine, "before_cursor_execute", on_execute)


def _tables_locked(service, method, path, body, token=None):
    tables = []
    with _watching_locks(service, lambda table, _: tables.append(table)):
        answer = service.call(method, path, body, token=token)
    assert answer.status_code in (200, 201), answer.text
    return [table for table in dict.fromkeys(tables) if table in ("organizations", "members")]


def test_logins_and_member_changes_lock_in_one_order(
    service,
):
    organization_id, token = service.owner()
    members = f"/v1/organizations/{organization_id}/members"
    mia = {"name": "Mia", "portal_access": False}
    member_id = service.call("POST", members, mia, token=token).json["id"]
    login = {"email": OLGA, "password": "four calm otters drift"}
    refresh = {"refresh_token": service.log_in(OLGA)["refresh_token"]}
    for call in (
        ("POST", "/v1/sessions", login),
        ("POST", "/v1/sessions/refresh", refresh),
        ("POST", "/v1/sessions/exchange", {"organization_id": organization_id}, token),
        ("POST", f"{members}/{member_id}/disable", None, token),
        ("PATCH", f"{members}/{member_id}", {"name": "Mia M"}, token),
    ):
        assert _tables_locked(service, *call) == ["organizations", "members"], call


def _invite(session):
    organizations.invite_owner(
        session,
        organization_id=ids.new("org"),
        provider_id=ids.new("org"),
        name="Second",
        given_name="Olga",
        family_name="Owner",
        email=OLGA,
        managed_by="provider",
        now=clock.now(),
    )


def _erase(session, organization_id):
    erasure.erase_members(
        session, organization_id=organization_id, deletion_id="d", now=clock.now()
    )


def _owner_of_the_second(service):
    with service.database.reading() as session:
        second = session.scalars(
            select(models.Member).where(models.Member.status == "pending")
        ).one()
        return session.get_one(models.Identity, second.identity_id)


def test_an_identity_linked_during_its_erasure_survives(service):
    organization_id, _ = service.owner()
    linked, is_locking = Event(), Event()

    def on_lock(table, kind):
        if (table, kind) == ("identities", "UPDATE"):
            is_locking.set()

    def link():
        with service.database.transaction() as session:
            _invite(session)
            session.flush()
            linked.set()
            assert is_locking.wait(60)

    with _watching_locks(service, on_lock), ThreadPoolExecutor(1) as pool:
        linking = pool.submit(link)
        assert linked.wait(60)
        with service.database.transaction() as session:
            _erase(session, organization_id)
        linking.result()
    identity = _owner_of_the_second(service)
    assert (identity.status, identity.email) == ("active", OLGA) and identity.password_hash


def test_a_person_invited_during_their_erasure_gets_a_new_identity(service):
    organization_id, _ = service.owner()
    is_locking = Event()

    def on_lock(table, kind):
        if (table, kind) == ("identities", "SHARE"):
            is_locking.set()

    def link():
        with service.database.transaction() as session:
            _invite(session)

    with ThreadPoolExecutor(1) as pool:
        with service.database.transaction() as session:
            _erase(session, organization_id)
            session.flush()
            with _watching_locks(service, on_lock):
                linking = pool.submit(link)
                assert is_locking.wait(60)
        linking.result()
    identity = _owner_of_the_second(service)
    assert (identity.status, identity.email, identity.password_hash) == ("active", OLGA, None)


def test_a_request_for_support_during_a_disabling_is_refused(service):
    support = support_setup(service)
    is_locking = Event()

    def on_lock(table, kind):
        if (table, kind) == ("members", "SHARE"):
            is_locking.set()

    with ThreadPoolExecutor(1) as pool:
        with service.database.transaction() as session:
            staff = models.Member.identity_id == service.claims(support.staff)["sub"]
            session.scalars(
                select(models.Member).where(staff).with_for_update()
            ).one().status = "disabled"
            session.flush()
            with _watching_locks(service, on_lock):
                requesting = pool.submit(support.request)
                assert is_locking.wait(10)
        refused = requesting.result()
    assert (refused.status_code, refused.json["code"]) == (401, "token_revoked")
    with service.database.reading() as session:
        assert session.scalars(select(models.SupportGrant)).all() == []


def test_entering_locks_the_staff_member_before_the_grant_as_disabling_does(service):
    support = support_setup(service, managed_by="customer")
    member_id, _ = support.member("jane@customer.example")
    grant = support.request().json["id"]
    path = f"{support.grants_path}/{grant}"
    assert support.call("POST", f"{path}/approve", {}, token=support.owner).status_code == 200
    tables = []
    with _watching_locks(service, lambda table, _: tables.append(table)):
        entered = support.enter(grant)
        token = entered.json["access_token"]
        assert support.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
        assert support.login_as(member_id).status_code == 201
    order = [table for table in tables if table in ("members", "support_grants")]
    assert order == ["members", "support_grants"] * 2


@pytest.mark.parametrize("decides", ["approve", "refuse"])
def test_a_decision_about_support_during_a_disabling_is_refused(service, decides):
    support = support_setup(service, managed_by="customer")
    anna_id, anna = support.member("anna@customer.example", role="admin")
    path = f"{support.grants_path}/{support.request().json['id']}"
    call = {"approve": ("POST", f"{path}/approve", {}), "refuse": ("DELETE", path)}[decides]
    is_locking = Event()

    def on_lock(table, kind):
        if (table, kind) == ("members", "SHARE"):
            is_locking.set()

    with ThreadPoolExecutor(1) as pool:
        with service.database.transaction() as session:
            session.get_one(models.Member, anna_id, with_for_update=True).status = "disabled"
            session.flush()
            with _watching_locks(service, on_lock):
                deciding = pool.submit(support.call, *call, token=anna)
                assert is_locking.wait(10)
        refused = deciding.result()
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    with service.database.reading() as session:
        assert session.scalars(select(models.SupportGrant)).one().status == "pending"
