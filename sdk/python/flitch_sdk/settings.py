"""Settings: the JSON text that the host hands over, into the filter's own dataclass."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import json
import types
import typing
from typing import Any


class Wrong(Exception):
    """Settings that are refused, with the path of the wrong key."""


def parse(text: str, wanted: Any) -> Any:
    """Reads settings. No settings at all are an empty object, so that a filter whose keys all have defaults needs none.

    ``wanted`` is a dataclass whose fields are ``str``, ``int``, ``float``, ``bool``, lists and dicts of such, further
    dataclasses, ``Optional``, ``Literal`` or an ``Enum`` of texts; or ``dict``, or ``Any``.

    :raises Wrong: with the wrong key's path, and what would be right.
    """
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError as wrong:
        raise Wrong(f"settings: {wrong}") from None
    return _read({} if value is None else value, wanted, "settings")


def _read(value: Any, wanted: Any, path: str) -> Any:
    if wanted is Any:
        return value
    if dataclasses.is_dataclass(wanted):
        return _read_dataclass(value, wanted, path)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Union or origin is types.UnionType:
        return _read_union(value, arguments, path)
    if origin is typing.Literal:
        if value not in arguments:
            raise _variant(value, arguments, path)
        return value
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        options = [option.value for option in wanted]
        if value not in options:
            raise _variant(value, options, path)
        return wanted(value)
    plain = origin or wanted
    if plain in (list, tuple, collections.abc.Sequence):
        if not isinstance(value, list):
            raise _mismatch(value, "a sequence", path)
        item = arguments[0] if arguments else Any
        read = [_read(inner, item, f"{path}[{place}]") for place, inner in enumerate(value)]
        return tuple(read) if plain is tuple else read
    if plain in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            raise _mismatch(value, "a map", path)
        item = arguments[1] if arguments else Any
        return {name: _read(inner, item, f"{path}.{name}") for name, inner in value.items()}
    if wanted is float and type(value) is int:
        return float(value)
    for plain_type, expected in _PLAIN.items():
        if wanted is plain_type:
            if type(value) is plain_type:
                return value
            raise _mismatch(value, expected, path)
    raise TypeError(f"{path}: a setting cannot be of the type {wanted!r}")


_PLAIN: dict[Any, str] = {str: "a string", int: "a whole number", float: "a number", bool: "a boolean"}


def _read_dataclass(value: Any, wanted: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(value, "a map", path)
    fields = {field.name: field for field in dataclasses.fields(wanted) if field.init}
    for name in value:
        if name not in fields:
            raise Wrong(f"{path}.{name}: unknown field `{name}`, {_expected(list(fields))}")
    hints = typing.get_type_hints(wanted)
    given = {name: _read(inner, hints[name], f"{path}.{name}") for name, inner in value.items()}
    for name, field in fields.items():
        if name in given or field.default is not dataclasses.MISSING:
            continue
        if field.default_factory is dataclasses.MISSING:
            raise Wrong(f"{path}: missing field `{name}`")
    return wanted(**given)


def _read_union(value: Any, options: tuple[Any, ...], path: str) -> Any:
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    for place, option in enumerate(options):
        try:
            return _read(value, option, path)
        except Wrong:
            if place == len(options) - 1:
                raise
    return None


def _expected(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    if not quoted:
        return "there are no fields"
    if len(quoted) <= 2:
        return "expected " + " or ".join(quoted)
    return "expected one of " + ", ".join(quoted)


def _variant(value: Any, options: Any, path: str) -> Wrong:
    if not isinstance(value, str):
        return _mismatch(value, "a string", path)
    return Wrong(f"{path}: unknown variant `{value}`, {_expected(list(options))}")


def _mismatch(value: Any, expected: str, path: str) -> Wrong:
    if value is None:
        found = "null"
    elif isinstance(value, bool):
        found = f"boolean `{json.dumps(value)}`"
    elif isinstance(value, int):
        found = f"integer `{value}`"
    elif isinstance(value, float):
        found = f"floating point `{value}`"
    elif isinstance(value, str):
        found = f"string {json.dumps(value, ensure_ascii=False)}"
    else:
        found = "map" if isinstance(value, dict) else "sequence"
    return Wrong(f"{path}: invalid type: {found}, expected {expected}")
