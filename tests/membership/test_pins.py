"""PINs of people without a login: made, checked, guessed at, reset."""

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


class Place:
    """A customer with somebody who has a PIN, and its provider's key for checking it."""

    def __init__(self, world):
        self.world = world
        self.staff = world.provider()
        self.provider_id = world.claims(self.staff)["org"]
        self.organization_id, self.owner = world.owner(provider_id=self.provider_id)
        self.members = f"/v1/organizations/{self.organization_id}/members"
        self.member = self.add("Front desk")
        self.pin, self.extension = self.member["pin"], self.member["extension"]
        self.raw = self.make(self.staff)
        self.key = self.exchange(self.raw)

    def add(self, name, **more):
        answer = self.world.call(
            "POST", self.members, {"name": name, "portal_access": False} | more, token=self.owner
        )
        assert answer.status_code == 201, answer.text
        return answer.json

    def make(self, maker, *scopes):
        """A new API key."""
        body = {"name": "AccessControl", "scopes": scopes or ["pin:verify"]}
        made = self.world.call("POST", "/v1/api-keys", body, token=maker)
        assert made.status_code == 201, made.text
        return made.json["api_key"]

    def exchange(self, raw):
        return self.world.call("POST", "/v1/sessions", {"api_key": raw}).json["access_token"]

    def token(self, maker, *scopes):
        return self.exchange(self.make(maker, *scopes))

    def pass_(self, **time):
        """Let time pass, and renew the token."""
        self.world.clock.pass_(**time)
        self.key = self.exchange(self.raw)

    def verify(self, pin=None, extension=None, *, token=None, organization_id=None, client=None):
        body = {
            "organization_id": organization_id or self.organization_id,
            "extension": extension or self.extension,
            "pin": pin or self.pin,
        }
        headers = {"Authorization": f"Bearer {token or self.key}"}
        return (client or self.world.client).post("/v1/pins/verify", json=body, headers=headers)

    def is_valid(self, *args, **kwargs):
        answer = self.verify(*args, **kwargs)
        assert answer.status_code == 200, answer.text
        assert set(answer.json) == {"valid"}
        return answer.json["valid"]

    def guess(self, times, extension=None):
        """Wrong PINs in a row, each answered."""
        assert [self.is_valid(WRONG, extension) for _ in range(times)] == [False] * times

    def act(self, what, member_id=None):
        return self.world.call(
            "POST", f"{self.members}/{member_id or self.member['id']}/{what}", token=self.owner
        )

    def audited(self, action):
        return [row for row in self.world.said(messages.AuditRecorded) if row.action == action]


@pytest.fixture
def place(world):
    return Place(world)


def test_the_right_pin_is_right_and_every_other_is_not(place):
    other = place.add("Back door")
    assert place.is_valid()
    assert not place.is_valid(WRONG)
    assert not place.is_valid(other["pin"]) or other["pin"] == place.pin
    assert not place.is_valid(extension=NOBODY)
    assert not place.is_valid("x" * 1024) and not place.is_valid("١٢٣٤٥٦")


@pytest.mark.parametrize("known", [True, False])
def test_the_ladder_is_the_same_whether_or_not_anybody_has_the_extension(place, known):
    extension = place.extension if known else NOBODY

    def is_shut(seconds):
        answer = place.verify(place.pin, extension)
        assert answer.status_code == 429 and answer.json["code"] == "too_many_attempts"
        assert seconds - 5 <= int(answer.headers["Retry-After"]) <= seconds

    place.guess(5, extension)
    is_shut(15 * 60)
    place.pass_(minutes=15, seconds=1)
    place.guess(5, extension)
    is_shut(3600)
    place.pass_(minutes=60, seconds=1)
    place.guess(5, extension)
    is_shut(3600)
    place.pass_(minutes=60, seconds=1)
    place.guess(5, extension)
    place.pass_(days=365)
    is_shut(3600)
    rows = place.audited("pin.shut")
    assert [row.changes[0]["after"] for row in rows] == [5, 10, 15, 20]
    assert rows[0].target == {"type": "extension", "id": extension, "label": extension}
    assert rows[0].actor["kind"] == "api_key" and rows[0].outcome == "denied"
    assert WRONG not in str(rows)


def test_slow_guesses_shut_too_and_few_are_forgiven(place):
    for _ in range(2):
        place.guess(4)
        place.pass_(minutes=16)
    place.guess(2)
    assert place.verify().status_code == 429
    place.pass_(minutes=61)
    assert place.is_valid()
    place.guess(4)
    assert place.is_valid()
    place.guess(4)
    assert place.is_valid()


def test_a_new_pin_opens_what_was_shut(place):
    with place.world.database.transaction() as session:
        key = attempt_limits.pin_key(place.organization_id, place.extension)
        session.add(
            models.FailedAttempts(
                key=key,
                total=20,
                recent=0,
                since=place.world.clock.now(),
                last_at=place.world.clock.now(),
            )
        )
    assert place.verify().status_code == 429
    fresh = place.act("reset-pin").json["pin"]
    assert place.is_valid(fresh)


def test_whoever_gets_the_extension_next_pays_for_nobodys_guesses(place):
    place.guess(5, NOBODY)
    newcomer = place.add("Newcomer", extension=NOBODY)
    assert place.is_valid(newcomer["pin"], NOBODY)


def test_guessing_across_extensions_shuts_the_organization_and_is_audited_once(place):
    for n in range(50):
        place.guess(1, str(500 + n))
    for extension in (place.extension, NOBODY):
        answer = place.verify(place.pin, extension)
        assert answer.status_code == 429 and answer.json["code"] == "too_many_attempts"
        assert 595 <= int(answer.headers["Retry-After"]) <= 600
    assert len(place.audited("pin.guessing")) == 1 and place.audited("pin.shut") == []
    place.pass_(minutes=10, seconds=1)
    assert place.is_valid()


def test_a_burst_gets_no_more_answers_than_guesses(place):
    def guess(_):
        with place.world.app.test_client() as client:
            answer = place.verify(WRONG, client=client)
            return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(guess, range(12)))
    assert sorted(answers) == [200] * 5 + [429] * 7


def test_what_is_done_is_the_same_whatever_is_wrong(place, monkeypatch):
    disabled = place.add("Disabled")
    place.act("disable", disabled["id"])
    verified, statements = [], []
    matches = Hasher.matches
    monkeypatch.setattr(Hasher, "matches", lambda *args: verified.append(1) or matches(*args))
    hear = lambda _connection, _cursor, statement, *_: statements.append(statement)
    event.listen(place.world.database.engine, "before_cursor_execute", hear)
    place.guess(1)  # the organization's row is there from now on
    place.act("reset-pin")
    work = []
    try:
        for pin, extension in (
            (WRONG, place.extension),
            (WRONG, NOBODY),
            (disabled["pin"], disabled["extension"]),
        ):
            verified.clear()
            statements.clear()
            assert [place.verify(pin, extension).status_code for _ in range(7)] == [200] * 5 + [
                429
            ] * 2
            work.append((len(verified), len(statements)))
    finally:
        event.remove(place.world.database.engine, "before_cursor_execute", hear)
    assert work[0][0] == 7 and len(set(work)) == 1


def test_a_pin_is_no_good_at_once_where_its_holder_is_out(place):
    place.act("disable")
    assert not place.is_valid()
    place.act("enable")
    assert place.is_valid()
    place.world.call("DELETE", f"{place.members}/{place.member['id']}", token=place.owner)
    assert not place.is_valid()


def test_while_an_organization_is_shut_no_pin_is_right_and_none_counts(place):
    world, organization_id = place.world, place.organization_id
    restore = org.RestoreAccess(
        organization_id=organization_id, conversation_id="c", suspended=False
    )
    for end in (
        org.OrganizationSuspended(organization_id=organization_id, provider_id=place.provider_id),
        org.EndAccess(organization_id=organization_id, deletion_id="d"),
    ):
        world.hear(end)
        assert [place.is_valid() for _ in range(6)] == [False] * 6
        world.hear(restore)
        assert place.is_valid()


def test_who_may_ask_about_whom(place):
    stranger_id, stranger = place.world.owner("sam@other.example", name="Other")
    own = place.token(place.owner)
    assert place.is_valid(token=own)
    assert place.verify(organization_id=stranger_id).status_code == 404
    assert place.verify(token=place.token(stranger)).status_code == 404
    assert place.verify(organization_id="org_nonsense").status_code == 422
    for token in (place.owner, place.staff, place.token(place.staff, "cust:read")):
        assert place.verify(token=token).status_code == 403
        assert place.verify(token=token, organization_id=stranger_id).status_code == 403


def test_another_pin(place):
    answer = place.act("reset-pin")
    assert answer.status_code == 200 and set(answer.json) == {*place.member}
    fresh = answer.json["pin"]
    assert place.is_valid(fresh) and (fresh == place.pin or not place.is_valid(place.pin))
    assert (
        "pin"
        not in place.world.call(
            "GET", f"{place.members}/{place.member['id']}", token=place.owner
        ).json
    )
    [row] = place.audited("pin.reset")
    assert row.target["id"] == place.member["id"] and row.actor["kind"] == "member"
    assert fresh not in str(row)
    again = [
        place.world.call(
            "POST",
            f"{place.members}/{place.member['id']}/reset-pin",
            token=place.owner,
            headers={"Idempotency-Key": "k"},
        )
        for _ in range(2)
    ]
    assert [a.headers.get("Idempotent-Replayed") for a in again] == [None, None]


def test_whose_pin_can_be_reset(place):
    with_login = place.world.call(
        "POST",
        place.members,
        token=place.owner,
        body={
            "name": "Mia",
            "portal_access": True,
            "role": "member",
            "email": "mia@customer.example",
        },
    ).json
    refused = place.act("reset-pin", with_login["id"])
    assert refused.status_code == 409 and refused.json["code"] == "no_pin"
    body = {"portal_access": True, "role": "admin", "email": "desk@customer.example"}
    path = f"{place.members}/{place.member['id']}"
    assert place.world.call("PATCH", path, body, token=place.owner).status_code == 200
    assert place.is_valid(), "who gets a login keeps the PIN"
    place.world.accept("desk@customer.example")
    admin = place.world.log_in("desk@customer.example")["access_token"]
    own = place.world.call("POST", f"{path}/reset-pin", token=admin)
    assert own.status_code == 403, "an admin reaches members only"
    assert place.is_valid(place.act("reset-pin").json["pin"])
    key = place.token(place.owner, "pin:reset")
    other = place.add("Other")
    assert (
        place.world.call("POST", f"{place.members}/{other['id']}/reset-pin", token=key).status_code
        == 200
    )


def test_without_the_pepper_nothing_fits(place):
    with place.world.database.reading() as session:
        kept = session.get_one(models.Member, place.member["id"]).pin_hash
    hasher = place.world.app.extensions["hasher"]
    assert pins.Pins(hasher, "a pepper").matches(kept, place.pin)
    assert not pins.Pins(hasher, "another").matches(kept, place.pin) and not hasher.matches(
        kept, place.pin
    )
    assert pins.Pins(hasher, "another", "a pepper").matches(kept, place.pin)
    with place.world.database.transaction() as session:
        session.execute(
            update(models.Member)
            .where(models.Member.id == place.member["id"])
            .values(pin_hash=hasher.hash(place.pin))
        )
    assert not place.is_valid(), "one from before the pepper"


def test_a_pin_is_not_like_its_extension(place, monkeypatch):
    made = iter(["471009", "810290", "581627", "735240", "610152", "640281"])
    monkeypatch.setattr("membership.values.pins.new", lambda: next(made))
    assert place.add("Nine", extension="1009")["pin"] == "810290"
    assert place.add("Whole", extension="+49 581 627")["pin"] == "735240"
    assert place.add("Next free one")["pin"] == "640281"


def test_what_is_erased_leaves_no_guesses(place):
    place.guess(1)
    place.world.hear(org.EraseMembers(organization_id=place.organization_id, deletion_id="d"))
    with place.world.database.reading() as session:
        assert session.scalars(select(models.FailedAttempts)).all() == []
