"""The address of this machine."""

from __future__ import annotations

from ipaddress import ip_address

from bedside.services.address import own_address, reached_at


def test_an_address_of_its_own_leads_to_itself():
    assert reached_at("192.168.1.20") == "192.168.1.20"


def test_every_address_is_one_that_can_be_typed():
    assert ip_address(own_address())
    for wildcard in ("0.0.0.0", "::"):
        address = ip_address(reached_at(wildcard))
        assert not address.is_unspecified
        assert address.version == (6 if wildcard == "::" else 4)
