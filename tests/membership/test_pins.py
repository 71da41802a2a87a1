"""PINs of people without a login: create, check, limit, reset."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts import membership as messages
from contracts import org
from membership import models
from membership.values import attempt_limits, pins
from membership.values.passwords import Hasher
from sqlalchemy import event, select, update

WRONG = "000000"  # no PIN is ever like this
NOBODY = "999"


class Setup:
    """A customer with a member who has a PIN, and its provider's key to check it."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)
        self.members = f"/v1/organizations/{self.organization_id}/members"
        self.member = self.add("Front desk")
        self.pin, self.extension = self.member["pin"], self.member["extension"]
        self.raw = self.make(self.staff)
        self.key = self.exchange(self.raw)

    def add(self, name, **more):
        answer = self.service.call(
            "POST", self.members, {"name": name, "portal_access": False} | more, token=self.owner
        )
        assert answer.status_code == 201, answer.text
        return answer.json

    def make(self, maker, *scopes):
        """A new API key."""
        body = {"name": "AccessControl", "scopes": scopes or ["pin:verify"]}
        made = self.service.call("POST", "/v1/api-keys", body, token=maker)
        assert made.status_code == 201, made.text
        return made.json["api_key"]

    def exchange(self, raw):
        return self.service.call("POST", "/v1/sessions", {"api_key": raw}).json["access_token"]

    def token(self, maker, *scopes):
        return self.exchange(self.make(maker, *scopes))

    def advance(self, **time):
        """Advance the clock and refresh the token."""
        self.service.clock.advance(**time)
        self.key = self.exchange(self.raw)

    def verify(self, pin=None, extension=None, *, token=None, organization_id=None, client=None):
        body = {
            "organization_id": organization_id or self.organization_id,
            "extension": extension or self.extension,
            "pin": pin or self.pin,
        }
        headers = {"Authorization": f"Bearer {token or self.key}"}
        return (client or self.service.client).post("/v1/pins/verify", json=body, headers=headers)

    def is_valid(self, *args, **kwargs):
        answer = self.verify(*args, **kwargs)
        assert answer.status_code == 200, answer.text
        assert set(answer.json) == {"valid"}
        return answer.json["valid"]

    def guess(self, times, extension=None):
        """Wrong PINs in a row, none of them throttled."""
        assert [self.is_valid(WRONG, extension) for _ in range(times)] == [False] * times

    def act(self, what, member_id=None):
        return self.service.call(
            "POST", f"{self.members}/{member_id or self.member['id']}/{what}", token=self.owner
        )

    def audited(self, action):
        return [
            row for row in self.service.published(messages.AuditRecorded) if row.action == action
        ]


@pytest.fixture
def setup(service):
    return service.prepared("pins", lambda: Setup(service))


def test_the_right_pin_is_right_and_every_other_is_not(setup):
    other = setup.add("Back door")
    assert setup.is_valid()
    assert not setup.is_valid(WRONG)
    assert not setup.is_valid(other["pin"]) or other["pin"] == setup.pin
    assert not setup.is_valid(extension=NOBODY)
    assert not setup.is_valid("x" * 1024) and not setup.is_valid("١٢٣٤٥٦")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.usefixtures("stopped_clock")
def test_the_ladder_is_the_same_whether_or_not_anybody_has_the_extension(setup, known):
    extension = setup.extension if known else NOBODY

    def is_shut(seconds):
        answer = setup.verify(setup.pin, extension)
        assert answer.status_code == 429 and answer.json["code"] == "too_many_attempts"
        assert seconds - 5 <= int(answer.headers["Retry-After"]) <= seconds

    setup.guess(5, extension)
    is_shut(15 * 60)
    setup.advance(minutes=15, seconds=1)
    setup.guess(5, extension)
    is_shut(3600)
    setup.advance(minutes=60, seconds=1)
    setup.guess(5, extension)
    is_shut(3600)
    setup.advance(minutes=60, seconds=1)
    setup.guess(5, extension)
    setup.advance(days=360)
    is_shut(3600)
    rows = setup.audited("pin.shut")
    assert [row.changes[0]["after"] for row in rows] == [5, 10, 15, 20]
    assert rows[0].target == {"type": "extension", "id": extension, "label": extension}
    assert rows[0].actor["kind"] == "api_key" and rows[0].outcome == "denied"
    assert WRONG not in str(rows)


@pytest.mark.usefixtures("stopped_clock")
def test_slow_guesses_shut_too_and_few_are_forgiven(setup):
    for _ in range(2):
        setup.guess(4)
        setup.advance(minutes=16)
    setup.guess(2)
    assert setup.verify().status_code == 429
    setup.advance(minutes=61)
    assert setup.is_valid()
    setup.guess(4)
    assert setup.is_valid()
    setup.guess(4)
    assert setup.is_valid()


@pytest.mark.usefixtures("stopped_clock")
def test_a_new_pin_unlocks_the_extension(setup):
    with setup.service.database.transaction() as session:
        key = attempt_limits.pin_key(setup.organization_id, setup.extension)
        session.add(
            models.FailedAttempts(
                key=key,
                total=20,
                recent=0,
                since=setup.service.clock.now(),
                last_at=setup.service.clock.now(),
            )
        )
    assert setup.verify().status_code == 429
    fresh = setup.act("reset-pin").json["pin"]
    assert setup.is_valid(fresh)


def test_a_new_holder_of_an_extension_starts_without_failures(setup):
    setup.guess(5, NOBODY)
    newcomer = setup.add("Newcomer", extension=NOBODY)
    assert setup.is_valid(newcomer["pin"], NOBODY)


@pytest.mark.usefixtures("stopped_clock")
def test_failures_across_extensions_block_the_organization_and_are_audited_once(setup):
    for n in range(50):
        setup.guess(1, str(500 + n))
    for extension in (setup.extension, NOBODY):
        answer = setup.verify(setup.pin, extension)
        assert answer.status_code == 429 and answer.json["code"] == "too_many_attempts"
        assert 595 <= int(answer.headers["Retry-After"]) <= 600
    assert len(setup.audited("pin.guessing")) == 1 and setup.audited("pin.shut") == []
    setup.advance(minutes=10, seconds=1)
    assert setup.is_valid()


@pytest.mark.usefixtures("stopped_clock")
def test_concurrent_attempts_are_limited_like_sequential_ones(setup):
    def guess(_):
        with setup.service.app.test_client() as client:
            answer = setup.verify(WRONG, client=client)
            return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(guess, range(12)))
    assert sorted(answers) == [200] * 5 + [429] * 7


def test_the_same_work_is_done_whatever_is_wrong(setup, monkeypatch):
    disabled = setup.add("Disabled")
    setup.act("disable", disabled["id"])
    verified, statements = [], []
    matches = Hasher.matches
    monkeypatch.setattr(Hasher, "matches", lambda *args: verified.append(1) or matches(*args))
    on_execute = lambda _connection, _cursor, statement, *_: statements.append(statement)
    event.listen(setup.service.database.engine, "before_cursor_execute", on_execute)
    setup.guess(1)  # creates the organization's row
    setup.act("reset-pin")
    work = []
    try:
        for pin, extension in (
            (WRONG, setup.extension),
            (WRONG, NOBODY),
            (disabled["pin"], disabled["extension"]),
        ):
            verified.clear()
            statements.clear()
            assert [setup.verify(pin, extension).status_code for _ in range(7)] == [200] * 5 + [
                429
            ] * 2
            work.append((len(verified), len(statements)))
    finally:
        event.remove(setup.service.database.engine, "before_cursor_execute", on_execute)
    assert work[0][0] == 7 and len(set(work)) == 1


def test_a_pin_stops_working_when_its_holder_is_disabled_or_removed(setup):
    setup.act("disable")
    assert not setup.is_valid()
    setup.act("enable")
    assert setup.is_valid()
    setup.service.call("DELETE", f"{setup.members}/{setup.member['id']}", token=setup.owner)
    assert not setup.is_valid()


def test_while_an_organization_is_suspended_no_pin_is_right_and_no_failure_counts(setup):
    service, organization_id = setup.service, setup.organization_id
    restore = org.RestoreAccess(
        organization_id=organization_id, conversation_id="c", suspended=False
    )
    for end in (
        org.OrganizationSuspended(organization_id=organization_id, provider_id=setup.provider_id),
        org.EndAccess(organization_id=organization_id, deletion_id="d"),
    ):
        service.receive(end)
        assert [setup.is_valid() for _ in range(6)] == [False] * 6
        service.receive(restore)
        assert setup.is_valid()


def test_which_keys_may_verify_which_pins(setup):
    stranger_id, stranger = setup.service.owner("sam@other.example", name="Other")
    own = setup.token(setup.owner)
    assert setup.is_valid(token=own)
    assert setup.verify(organization_id=stranger_id).status_code == 404
    assert setup.verify(token=setup.token(stranger)).status_code == 404
    assert setup.verify(organization_id="org_nonsense").status_code == 422
    for token in (setup.owner, setup.staff, setup.token(setup.staff, "cust:read")):
        assert setup.verify(token=token).status_code == 403
        assert setup.verify(token=token, organization_id=stranger_id).status_code == 403


def test_a_new_pin(setup):
    answer = setup.act("reset-pin")
    assert answer.status_code == 200 and set(answer.json) == {*setup.member}
    fresh = answer.json["pin"]
    assert setup.is_valid(fresh) and (fresh == setup.pin or not setup.is_valid(setup.pin))
    assert (
        "pin"
        not in setup.service.call(
            "GET", f"{setup.members}/{setup.member['id']}", token=setup.owner
        ).json
    )
    [row] = setup.audited("pin.reset")
    assert row.target["id"] == setup.member["id"] and row.actor["kind"] == "member"
    assert fresh not in str(row)
    again = [
        setup.service.call(
            "POST",
            f"{setup.members}/{setup.member['id']}/reset-pin",
            token=setup.owner,
            headers={"Idempotency-Key": "k"},
        )
        for _ in range(2)
    ]
    assert [a.headers.get("Idempotent-Replayed") for a in again] == [None, None]


def test_whose_pin_can_be_reset(setup):
    with_login = setup.service.call(
        "POST",
        setup.members,
        token=setup.owner,
        body={
            "name": "Mia",
            "portal_access": True,
            "role": "member",
            "email": "mia@customer.example",
        },
    ).json
    refused = setup.act("reset-pin", with_login["id"])
    assert refused.status_code == 409 and refused.json["code"] == "no_pin"
    body = {"portal_access": True, "role": "admin", "email": "desk@customer.example"}
    path = f"{setup.members}/{setup.member['id']}"
    assert setup.service.call("PATCH", path, body, token=setup.owner).status_code == 200
    assert setup.is_valid(), "who gets a login keeps the PIN"
    setup.service.accept("desk@customer.example")
    admin = setup.service.log_in("desk@customer.example")["access_token"]
    own = setup.service.call("POST", f"{path}/reset-pin", token=admin)
    assert own.status_code == 403, "an admin reaches members only"
    assert setup.is_valid(setup.act("reset-pin").json["pin"])
    key = setup.token(setup.owner, "pin:reset")
    other = setup.add("Other")
    assert (
        setup.service.call(
            "POST", f"{setup.members}/{other['id']}/reset-pin", token=key
        ).status_code
        == 200
    )


def test_without_the_pepper_no_pin_matches(setup):
    with setup.service.database.reading() as session:
        kept = session.get_one(models.Member, setup.member["id"]).pin_hash
    hasher = setup.service.app.extensions["hasher"]
    assert pins.Pins(hasher, "a pepper").matches(kept, setup.pin)
    assert not pins.Pins(hasher, "another").matches(kept, setup.pin) and not hasher.matches(
        kept, setup.pin
    )
    assert pins.Pins(hasher, "another", "a pepper").matches(kept, setup.pin)
    with setup.service.database.transaction() as session:
        session.execute(
            update(models.Member)
            .where(models.Member.id == setup.member["id"])
            .values(pin_hash=hasher.hash(setup.pin))
        )
    assert not setup.is_valid(), "one from before the pepper"


def test_a_pin_does_not_resemble_its_extension(setup, monkeypatch):
    made = iter(["471009", "810290", "581627", "735240", "610152", "640281"])
    monkeypatch.setattr("membership.values.pins.new", lambda: next(made))
    assert setup.add("Nine", extension="1009")["pin"] == "810290"
    assert setup.add("Whole", extension="+49 581 627")["pin"] == "735240"
    assert setup.add("Next free one")["pin"] == "640281"


def test_erasure_deletes_failed_attempts(setup):
    setup.guess(1)
    setup.service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    with setup.service.database.reading() as session:
        of_pins = models.FailedAttempts.key.startswith("pin:")
        assert session.scalars(select(models.FailedAttempts).where(of_pins)).all() == []
