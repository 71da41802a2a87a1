"""The danger zone, where the provider wants a fresh proof."""

import time


def test_a_deletion_wants_a_fresh_proof_where_the_provider_says_so(world):
    one, now = world.active(), time.time()
    for proved in ({}, {"proved": now - 301}):
        refused = world.call("DELETE", f"/organizations/{one}", must_prove=True, **proved)
        assert refused.status_code == 403 and refused.json["code"] == "step_up_required"
    assert world.found(one).status == "active"
    assert world.call("GET", f"/organizations/{one}", must_prove=True).status_code == 200

    assert (
        world.call("DELETE", f"/organizations/{one}", must_prove=True, proved=now - 60).status_code
        == 202
    )


def test_without_that_setting_nothing_has_to_be_proved(world):
    assert world.call("DELETE", f"/organizations/{world.active()}").status_code == 202
