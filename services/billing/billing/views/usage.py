"""Usage records."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import body_limits, idempotency
from chassis.http.parsing import Blueprint, pointers
from chassis.runtime import clock
from flask import Response, request

from billing import actions, schemas

blp = Blueprint("usage", __name__, url_prefix="/v1/usage", description="Usage")
_OUTCOME = schemas.UsageOutcome()


@blp.before_request
def take_more() -> None:
    """These bodies may be larger than others."""
    request.max_content_length = body_limits.BULK


@blp.route("", methods=["POST"])
@requires("usage.record")
@blp.arguments(schemas.Usage)
@blp.response(200, schemas.UsageOutcome)
def record_usage(body: dict[str, Any]) -> Response:
    """Post up to 10,000 usage records at once.

    Each counts once, and a refused record does not affect the others.
    """
    caller = current_caller()
    provider_id = caller.organization_id
    always = body["admission"] == "always"
    received_at = clock.now()
    records, invalid = [], []
    for index, raw in enumerate(body["records"]):
        try:
            record = schemas.read_record(
                raw, provider_id=provider_id, always=always, now=received_at
            )
            records.append((index, record))
        except schemas.BadRecord as problem:
            invalid.append(_refusal(problem, index))

    def act(session: Any) -> dict[str, Any]:
        outcomes = actions.record_usage_batch(
            session,
            provider_id=provider_id,
            records=[record for _, record in records],
            now=clock.now(),
            by=caller.actor(),
        )
        refused = [
            {"id": record.id, "code": outcome, "index": index}
            for (index, record), outcome in zip(records, outcomes, strict=True)
            if outcome not in (actions.ACCEPTED, actions.DUPLICATE)
        ]
        return {
            "accepted": outcomes.count(actions.ACCEPTED),
            "duplicates": outcomes.count(actions.DUPLICATE),
            "refused": sorted(invalid + refused, key=lambda refusal: refusal["index"]),
        }

    return idempotency.change(_OUTCOME, act)


def _refusal(problem: schemas.BadRecord, index: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {"id": problem.id, "code": problem.code, "index": index}
    if problem.fields:
        refusal["errors"] = pointers(problem.fields)
    return refusal
