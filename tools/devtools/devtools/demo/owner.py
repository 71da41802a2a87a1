"""The owner's steps, which need the invitation's email."""

from pathlib import Path

from devtools.demo.api import Api
from devtools.demo.customer import Customer
from devtools.demo.mails import invitation
from devtools.demo.waiting import until

OUT_WITHIN = 5.0


def join(customer: Customer, mails: Path | None) -> None:
    """The owner accepts the invitation, signs in, and sees only their own organization."""
    tell = customer.tell
    if mails is None:
        tell.note(
            "The owner's steps are skipped because email cannot be read. Set MAIL_DIR to the folder"
            " it is written to."
        )
        return
    tell.step(f"The invitation of {customer.owner_email} arrives")
    token = invitation(mails, customer.owner_email)
    tell.check("an email with a link", bool(token), True)
    owner = Api(customer.api.base_url)
    tell.step("The owner opens the link and chooses a password")
    link = f"/v1/verifications/{token}"
    tell.check(
        "invited", tell.answered(owner.call("GET", link), 200)["email"], customer.owner_email
    )
    tell.answered(owner.call("POST", link, {"password": customer.owner_password}), 201)
    tell.check("the link a second time", owner.call("GET", link).status, 410)
    customer.owner = owner
    _sign_in(customer, owner)
    _sees_only_its_own(customer, owner)


def is_out(customer: Customer) -> None:
    """The owner's session has ended."""
    if customer.owner is None:
        return
    api, tell = customer.owner, customer.tell
    tell.step("The owner's session has ended")
    until(lambda: api.call("GET", customer.path).status == 401, seconds=OUT_WITHIN)
    refusal = tell.answered(api.call("GET", customer.path), 401)
    tell.check("code", refusal["code"], "token_revoked")
    tell.check("signing in again", _attempt(customer), 403)


def is_back(customer: Customer) -> None:
    """The owner can sign in as before."""
    if customer.owner is not None:
        _sign_in(customer, customer.owner)


def _sign_in(customer: Customer, owner: Api) -> None:
    tell = customer.tell
    tell.step("The owner signs in")
    body = tell.answered(owner.sign_in(customer.owner_email, customer.owner_password), 201)
    tell.check("organization", body["organization"]["id"], customer.id)
    tell.check("role", body["role"], "owner")


def _attempt(customer: Customer) -> int:
    return Api(customer.api.base_url).sign_in(customer.owner_email, customer.owner_password).status


def _sees_only_its_own(customer: Customer, owner: Api) -> None:
    tell = customer.tell
    tell.step("The owner sees one organization, and may not charge it")
    listed = tell.answered(owner.call("GET", "/v1/organizations"), 200)["data"]
    tell.check("organizations", [row["id"] for row in listed], [customer.id])
    others = customer.api.call("GET", "/v1/organizations?limit=5").body.get("data", [])
    for other in [row["id"] for row in others if row["id"] != customer.id][:1]:
        tell.answered(owner.call("GET", f"/v1/organizations/{other}"), 404)
    charge = {"amount": "1.00", "kind": "one_off", "description": "By the owner"}
    refusal = owner.call(
        "POST", f"{customer.path}/account/charges", charge, key=customer.key("by-owner")
    )
    tell.answered(refusal, 403)
