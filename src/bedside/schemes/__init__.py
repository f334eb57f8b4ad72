"""Quantization schemes: one file each, listed here by lazy name.

A scheme module offers ``SCHEME`` (what it is) and
``recipe(options: frozenset[str]) -> list[dict]`` (the quantizer's recipe as plain data; an
empty list leaves the model in floating point). A scheme that treats layers differently also
offers ``layer_rules(graph, options, float_layers) -> list[dict]``, rules that follow the recipe's,
and ``layer_formats``, with the same arguments: what those layers hold (weights, activations), by
position. A variant that holds anything else than ``SCHEME`` and ``layer_formats`` promise is
refused (``postcondition.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
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

# What no study makes: the file comes from outside (``--quantized-model``).
GIVEN = "given"


@dataclass(frozen=True, slots=True)
class SchemeChoice:
    """A scheme with the options chosen for it; ``str()`` gives its id, such as ``int8+io8``.

    ``options`` are sorted. ``module`` is the scheme's own, with ``recipe`` and ``layer_rules``.
    """

    scheme: Scheme
    options: tuple[str, ...]
    module: ModuleType

    def __str__(self) -> str:
        return "+".join([self.scheme.name, *self.options])

    @property
    def steps(self) -> int:
        """Decisions beyond a plain conversion: the scheme's own, and one for each option."""
        return self.scheme.steps + len(self.options)


def parse(text: str) -> SchemeChoice:
    """Return the scheme and options that a configuration or a flag names, as ``int8+io8``.

    Raises:
        BadInput: unknown scheme or option, or two options that exclude each other.
    """
    name, *given = text.split("+")
    table = {GIVEN: "bedside.schemes.given"} if name == GIVEN else SCHEMES
    module: ModuleType = registry.lookup(table, name, "scheme")
    choice = SchemeChoice(module.SCHEME, tuple(sorted(set(given))), module)
    for option in choice.options:
        if option not in choice.scheme.options:
            raise BadInput(f"scheme {name!r} has no option {option!r}",
                           remedy=did_you_mean(option, choice.scheme.options))
    for group in EXCLUSIVE:
        both = [o for o in choice.options if o in group]
        if len(both) > 1:
            raise BadInput(f"options {both[0]!r} and {both[1]!r} exclude each other",
                           where=str(choice), remedy="Give one of them.")
    return choice
