"""Whose word about the client's address is taken, and what a client is counted by."""

import pytest
from chassis.http import networks
from chassis.runtime.settings import Misconfigured

TRUSTED = networks.parse("10.0.0.0/8 192.0.2.1,2001:db8:ffff::/48")
CLIENT, FORGED = "203.0.113.7", "6.6.6.6"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.1", FORGED, "198.51.100.1"),
        ("127.0.0.1", FORGED, "127.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", f"{FORGED}, {CLIENT}", CLIENT),
        ("10.0.0.1", f"{FORGED}, {CLIENT}, 192.0.2.1,10.2.3.4", CLIENT),
        ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("::ffff:10.0.0.1", CLIENT, CLIENT),
        ("2001:db8:ffff::1", "2001:db8:1::7", "2001:db8:1::7"),
        ("10.0.0.1", f"{CLIENT}:50123", CLIENT),
        ("10.0.0.1", "[2001:db8:1::7]:50123", "2001:db8:1::7"),
        ("10.0.0.1", f"{FORGED}, unknown", "unknown"),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(peer: str, forwarded: str, client: str) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}

    assert networks.client_address(TRUSTED, environ) == client


def test_a_caller_in_this_process_is_believed_without_being_trusted_by_address() -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": CLIENT}

    assert networks.client_address((), environ) == "127.0.0.1"
    assert networks.client_address((), {**environ, networks.IN_PROCESS: True}) == CLIENT


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:7::1", "2001:DB8:0:7:ffff::2", True),
        ("2001:db8:0:7::1", "2001:db8:0:8::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("198.51.100.7:1", "198.51.100.7:2", True),
        ("", "x", False),
    ],
)
def test_one_network_is_one_client(one: str, other: str, same: bool) -> None:
    assert (networks.network_of(one) == networks.network_of(other)) is same


def test_an_unreadable_list_of_proxies_is_refused_by_name() -> None:
    with pytest.raises(Misconfigured, match="TRUSTED_PROXIES"):
        networks.parse("10.0.0.0/8, proxy.example")
