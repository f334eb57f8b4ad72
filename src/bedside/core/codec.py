"""Strict conversion of dataclasses to JSON or TOML and back.

Nothing is coerced: an unknown key, a wrong type, a NaN or a key given twice is refused with
the place and, for a key, the nearest known name. See ``docs/decisions/0002-strict-codec.md``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import tomli_w

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean

T = TypeVar("T")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def encode(value: Any) -> Any:
    """Return a dataclass (or container of them) as plain dicts, lists, strings, numbers and None.

    Raises:
        ValueError: a float that JSON has no name for (NaN or infinity).
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"cannot write {value} to JSON")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"cannot encode {type(value).__name__}")


def decode(cls: Any, data: Any, where: str = "") -> Any:
    """Build ``cls`` (a dataclass or an annotation such as ``tuple[int, ...]``) from plain data.

    Raises:
        BadInput: unknown key, missing key, wrong type or non-finite number.
    """
    if dataclasses.is_dataclass(cls):
        return _decode_dataclass(typing.cast(type, cls), data, where)
    origin = get_origin(cls)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(cls, data, where)
    if origin is Literal:
        if data not in get_args(cls) or isinstance(data, bool):
            options = [str(o) for o in get_args(cls)]
            raise BadInput(f"{data!r} is not allowed", where=where,
                           remedy=did_you_mean(str(data), options))
        return data
    if origin is tuple:
        return _decode_tuple(cls, data, where)
    if origin is dict:
        if not isinstance(data, Mapping):
            raise _wrong_type("a table", data, where)
        item = get_args(cls)[1]
        return {str(k): decode(item, v, f"{where}.{k}") for k, v in data.items()}
    return _decode_scalar(cls, data, where)


def _wrong_type(expected: str, data: Any, where: str) -> BadInput:
    return BadInput(f"expected {expected}, found {type(data).__name__} {str(data)[:60]!r}",
                    where=where or "value", remedy="Correct the type.")


def _decode_scalar(cls: Any, data: Any, where: str) -> Any:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    if cls is Any:
        return data
    if cls is float and isinstance(data, int) and not isinstance(data, bool):
        # Beyond the largest float a whole number is infinite, and refused as such below.
        data = float(data) if abs(data) < 2**1024 - 2**970 else math.inf
    if cls is type(None):
        if data is not None:
            raise _wrong_type("nothing", data, where)
        return None
    if cls not in names:
        raise TypeError(f"{where}: the codec does not know {cls!r}")
    if type(data) is not cls:
        raise _wrong_type(names[cls], data, where)
    if cls is float and not math.isfinite(data):
        raise BadInput("not a finite number", where=where, remedy="Give a finite number.")
    return data


def _decode_union(cls: Any, data: Any, where: str) -> Any:
    members = get_args(cls)
    if data is None and type(None) in members:
        return None
    rest = [m for m in members if m is not type(None)]
    if len(rest) == 1:
        return decode(rest[0], data, where)
    faults = []
    for member in rest:
        try:
            return decode(member, data, where)
        except BadInput as error:
            faults.append(error)
    raise faults[0]


def _decode_tuple(cls: Any, data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise _wrong_type("a list", data, where)
    args = get_args(cls)
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(decode(args[0], v, f"{where}[{i}]") for i, v in enumerate(data))
    if len(args) != len(data):
        raise BadInput(f"expected {len(args)} values, found {len(data)}", where=where,
                       remedy="Give one value for each place.")
    return tuple(decode(a, v, f"{where}[{i}]")
                 for i, (a, v) in enumerate(zip(args, data, strict=True)))


def _decode_dataclass(cls: type, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise _wrong_type("a table", data, where)
    hints = _hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            raise BadInput(f"unknown key {key!r}", where=where or cls.__name__,
                           remedy=did_you_mean(str(key), fields))
    values: dict[str, Any] = {}
    for name, spec in fields.items():
        place = f"{where}.{name}" if where else name
        if name in data:
            values[name] = decode(hints[name], data[name], place)
        elif (spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING):
            raise BadInput(f"key {name!r} is missing", where=where or cls.__name__,
                           remedy=f"Add {name}.")
    return cls(**values)


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return encoded data as one table of dotted keys; items of a list of tables go by id."""
    if isinstance(value, Mapping) and value:
        return {k: v for name, part in value.items()
                for k, v in flat(part, f"{key}.{name}" if key else str(name)).items()}
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        return {k: v for i, part in enumerate(value)
                for k, v in flat(part, f"{key}.{part.get('id') or i}").items()}
    return {key: value}


# ------------------------------------------------------------------ text


def to_json(value: Any) -> str:
    """Return canonical readable JSON of a dataclass or plain data, ending in a newline."""
    return json.dumps(encode(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_toml(value: Any) -> str:
    """Return the TOML of a dataclass; TOML has no null, so None is left out."""
    return tomli_w.dumps(_without_none(encode(value)))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [k for k, _ in pairs]
    twice = {k for k in keys if keys.count(k) > 1} if len(set(keys)) < len(keys) else set()
    if twice:
        raise ValueError(f"key {min(twice)!r} given twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def parse_json(text: str | bytes, where: str) -> Any:
    """Parse strict JSON: no NaN, no infinity, no key given twice.

    Raises:
        BadInput: the text is not strict JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not valid JSON ({error})", where=where,
                       remedy="Restore the file or write it anew.") from error


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML. Raises BadInput where the text is none."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise BadInput(f"not valid TOML ({error})", where=where,
                       remedy="Correct the line.") from error


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        BadInput: missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadInput("no such file", where=path, remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8 text", where=path, remedy="Save it as UTF-8.") from error
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Check the file and its permissions.") from error


def read_json(cls: type[T], path: Path) -> T:
    """Read one dataclass from a JSON file. Raises BadInput with the file and the fault."""
    data = parse_json(read_text(path), str(path))
    return _in_file(cls, data, path)


def read_toml(cls: type[T], path: Path) -> T:
    """Read one dataclass from a TOML file. Raises BadInput with the file and the fault."""
    return _in_file(cls, parse_toml(read_text(path), str(path)), path)


def _in_file(cls: type[T], data: Any, path: Path) -> T:
    try:
        return typing.cast(T, decode(cls, data))
    except BadInput as error:
        place = f"{path}: {error.where}" if error.where else str(path)
        raise BadInput(error.fault, where=place, remedy=error.remedy) from None
