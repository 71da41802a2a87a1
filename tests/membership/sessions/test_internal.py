"""What the gateway and org ask: the feed of revocations, the closing check."""

import pytest
from chassis.runtime import clock, ids
from contracts import membership, org
from membership import jobs, models
from sqlalchemy import insert

from tests.databases import counted
from tests.membership.sessions.attempts import OLGA

ORG = ("org", "org's own")


def test_the_feed_continues_after_a_position_and_deletes_old_entries(service):
    _, token = service.owner()
    service.call("DELETE", "/v1/sessions/current", token=token)
    feed = service.feed()
    assert feed["entries"][-1]["kind"] == "session" and feed["last"] == feed["entries"][-1]["seq"]
    assert service.feed(feed["last"]) == {"entries": [], "last": feed["last"]}
    assert service.feed(feed["last"] + 1000)["entries"] == feed["entries"]
    service.clock.advance(minutes=66)
    assert service.feed() == {"entries": [], "last": feed["last"]}
    while jobs.delete_expired(service.database, clock.now(), service.settings):
        pass
    second = service.log_in(OLGA)["access_token"]
    service.call("DELETE", "/v1/sessions/current", token=second)
    assert [e["seq"] for e in service.feed(feed["last"])["entries"]] == [feed["last"] + 1]


@pytest.mark.parametrize("auth", [None, ("gateway", "guess"), ("org", "org's own")])
def test_the_feed_is_for_the_gateway(service, auth):
    assert service.client.get("/internal/revocations", auth=auth).status_code == 401


def test_the_closing_check_is_for_org(service):
    organization_id = service.customer()
    path = f"/internal/organizations/{organization_id}/closing-check"
    assert service.client.get(path, auth=("org", "org's own")).json == {"warnings": []}
    assert service.client.get(path).status_code == 401


def states(service, **query):
    answer = service.client.get("/internal/states", query_string=query, auth=ORG)
    assert answer.status_code == 200, answer.text
    return answer.json


def copies(service, organization_id, count):
    """That many more organizations with an owner like this one's."""
    with service.database.transaction() as session:
        organization = session.get_one(models.Organization, organization_id)
        owner = session.query(models.Member).filter_by(organization_id=organization_id).one()
        new = [ids.new("org") for _ in range(count)]
        _insert(session, organization, [{"id": id_} for id_ in new])
        _insert(session, owner, [{"id": ids.new("mem"), "organization_id": id_} for id_ in new])


def _insert(session, row, changes):
    columns = {c.key: getattr(row, c.key) for c in type(row).__mapper__.column_attrs}
    session.execute(insert(type(row)), [columns | changed for changed in changes])


def test_the_states_are_for_org(service):
    assert service.client.get("/internal/states").status_code == 401
    assert (
        service.client.get("/internal/states", auth=("gateway", "gateway's own")).status_code == 401
    )


def test_the_states_show_access_members_and_settings_in_pages(service):
    service.provider()
    customer = service.customer()
    whole = states(service)

    first, second = whole["states"]
    assert second["organization_id"] == customer and whole["until"] is None
    assert first["settings_version"] == 0
    access = membership.StateReported.load({**second, "check_id": ""}).access
    assert (access.state, access.members, access.admins) == ("open", 1, 0)
    assert access.owner.email == OLGA
    page = states(service, limit=1)
    assert page == {"states": [first], "until": first["organization_id"]}
    assert states(service, limit=1, after=page["until"])["states"] == [second]


def test_a_page_takes_as_many_statements_for_200_organizations_as_for_10(service):
    customer = service.customer()

    def statements(count):
        copies(service, customer, count - 1)
        with counted(service.database) as seen:
            rows = states(service)["states"]
        assert len(rows) >= count
        return len(seen)

    assert statements(10) == statements(200)


def test_a_report_comes_before_the_members_are_published_again(service):
    customer = service.customer()
    before = len(service.published(membership.MembersChanged))
    ask = org.ReportState(organization_id=customer, check_id="chk_1", figures=True)
    service.receive(ask)
    (report,) = service.published(membership.StateReported)
    *_, again = service.published(membership.MembersChanged)

    assert report.check_id == "chk_1" and report.access.owner == again.owner
    assert len(service.published(membership.MembersChanged)) == before + 1
    service.receive(org.ReportState(organization_id=ids.new("org"), check_id="c", figures=False))
    assert service.published(membership.StateReported)[-1].access is None
    assert len(service.published(membership.MembersChanged)) == before + 1
