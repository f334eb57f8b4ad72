"""Quantization schemes: one file each, listed here by lazy name.

A scheme module offers ``SCHEME`` (what it is) and
``recipe(options: frozenset[str]) -> list[dict]`` (the quantizer's recipe as plain data; an
empty list leaves the model in floating point). A scheme that treats layers differently also
offers ``layer_rules(graph, options, kept) -> list[dict]``, rules that follow the recipe's.
"""

from __future__ import annotations

from types import ModuleType

from bedside.core import registry
from bedside.core.build import Scheme
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.schemes.options import EXCLUSIVE

SCHEMES: dict[str, str] = {
    "float32": "bedside.schemes.float32",
    "float16": "bedside.schemes.float16",
    "dynamic": "bedside.schemes.dynamic",
    "int8": "bedside.schemes.int8",
    "weight_int8": "bedside.schemes.weight_int8",
    "int16x8": "bedside.schemes.int16x8",
    "mixed": "bedside.schemes.mixed",
}


def split_id(scheme_id: str) -> tuple[str, tuple[str, ...]]:
    """``int8+io8`` becomes ``("int8", ("io8",))``; options are sorted."""
    name, *options = scheme_id.split("+")
    return name, tuple(sorted(set(options)))


def load(scheme_id: str) -> tuple[ModuleType, Scheme, tuple[str, ...]]:
    """The module, the scheme and the options behind an id such as ``int8+io8``.

    Raises:
        BadInput: unknown scheme or option, or two that exclude each other.
    """
    name, options = split_id(scheme_id)
    module: ModuleType = registry.lookup(SCHEMES, name, "scheme")
    scheme: Scheme = module.SCHEME
    for option in options:
        if option not in scheme.options:
            raise BadInput(f"scheme {name!r} has no option {option!r}",
                           remedy=did_you_mean(option, scheme.options))
    for group in EXCLUSIVE:
        both = [o for o in options if o in group]
        if len(both) > 1:
            raise BadInput(f"options {both[0]!r} and {both[1]!r} exclude each other",
                           where=scheme_id, remedy="Give one of them.")
    return module, scheme, options


def steps(scheme_id: str) -> int:
    """Decisions beyond a plain conversion: the scheme's own, and one for each option."""
    _, scheme, options = load(scheme_id)
    return scheme.steps + len(options)


def variant_id(model: str, scheme_id: str) -> str:
    """``<model>-<scheme>[+option…]``."""
    name, options = split_id(scheme_id)
    return "+".join([f"{model}-{name}", *options])
