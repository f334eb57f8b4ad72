"""Vulkan devices of this machine."""

from __future__ import annotations

from bedside.targets import vulkan


def test_the_chosen_adapter_is_listed_by_the_vulkan_loader():
    adapter, environment = vulkan.choose()
    assert adapter is not None, "libvulkan1 and chromium bring a software adapter"
    assert adapter in vulkan._ask(environment)
