"""Vulkan devices of this machine (``python -m bedside.targets.vulkan`` prints them).

Asked in a child process, since listing devices loads every installed driver. Only the four
calls of the Vulkan 1.0 C interface that a listing needs are used.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SWIFTSHADER = (Path("/usr/lib/chromium/vk_swiftshader_icd.json"),
               Path("/usr/lib64/chromium-browser/vk_swiftshader_icd.json"))
_CPU = 4  # VK_PHYSICAL_DEVICE_TYPE_CPU
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """A Vulkan device; ``software`` where a CPU plays the GPU."""

    name: str
    software: bool


class _Create(ctypes.Structure):
    """VkInstanceCreateInfo."""

    _fields_ = (("type", ctypes.c_int32), ("next", ctypes.c_void_p), ("flags", ctypes.c_uint32),
                ("application", ctypes.c_void_p), ("layers", ctypes.c_uint32),
                ("layer_names", ctypes.c_void_p), ("extensions", ctypes.c_uint32),
                ("extension_names", ctypes.c_void_p))


class _Properties(ctypes.Structure):
    """The head of VkPhysicalDeviceProperties; the rest (limits) is room only."""

    _fields_ = (("api", ctypes.c_uint32), ("driver", ctypes.c_uint32),
                ("vendor", ctypes.c_uint32), ("device", ctypes.c_uint32),
                ("type", ctypes.c_uint32), ("name", ctypes.c_char * 256),
                ("rest", ctypes.c_char * 1024))


def _devices() -> Iterator[Adapter]:
    try:
        library = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return
    instance = ctypes.c_void_p()
    create = _Create(type=1)  # VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO
    if library.vkCreateInstance(ctypes.byref(create), None, ctypes.byref(instance)) != 0:
        return
    count = ctypes.c_uint32()
    library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    handles = (ctypes.c_void_p * count.value)()
    library.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles)
    for handle in handles:
        found = _Properties()
        library.vkGetPhysicalDeviceProperties(ctypes.c_void_p(handle), ctypes.byref(found))
        yield Adapter(found.name.decode("utf-8", "replace"), found.type == _CPU)


def _ask(environment: Mapping[str, str]) -> tuple[Adapter, ...]:
    try:
        done = subprocess.run([sys.executable, "-m", "bedside.targets.vulkan"],
                              capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
                              env={**os.environ, **environment})
        listed = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()
    return tuple(Adapter(str(a["name"]), bool(a["software"])) for a in listed)


@functools.cache
def choose() -> tuple[Adapter | None, dict[str, str]]:
    """Return the adapter to use and the environment that selects it.

    A real GPU first; then Chromium's SwiftShader, which is newer than the Mesa of most systems;
    then whatever else there is.
    """
    base = {} if os.environ.get("XDG_RUNTIME_DIR") else {"XDG_RUNTIME_DIR": "/tmp"}
    present = _ask(base)
    for adapter in present:
        if not adapter.software:
            return adapter, base
    for driver in SWIFTSHADER:
        if driver.is_file():
            selected = {**base, "VK_DRIVER_FILES": str(driver), "VK_ICD_FILENAMES": str(driver)}
            found = _ask(selected)
            if found:
                return found[0], selected
    return (present[0], base) if present else (None, base)


if __name__ == "__main__":
    print(json.dumps([{"name": a.name, "software": a.software} for a in _devices()]))
