"""The danger zone, where the provider wants a fresh proof."""

import time


def test_a_deletion_needs_re_authentication_if_the_provider_requires_it(world):
    customer, now = world.active(), time.time()
    for proved in ({}, {"proved": now - 301}):
        refused = world.call("DELETE", f"/organizations/{customer}", must_prove=True, **proved)
        assert refused.status_code == 403 and refused.json["code"] == "step_up_required"
    assert world.organization(customer).status == "active"
    assert world.call("GET", f"/organizations/{customer}", must_prove=True).status_code == 200

    assert (
        world.call(
            "DELETE", f"/organizations/{customer}", must_prove=True, proved=now - 60
        ).status_code
        == 202
    )


def test_without_that_setting_no_re_authentication_is_needed(world):
    assert world.call("DELETE", f"/organizations/{world.active()}").status_code == 202
