"""Values by their kinds, and their JSON.

========== ====================================================================================================
kind       in Python
========== ====================================================================================================
text       ``str``
bytes      ``bytes``
int64      ``int``
float64    ``float``
boolean    ``bool``
timestamp  :class:`~flitch_sdk.time.Timestamp`, an ``int`` of nanoseconds since 1970
json       :class:`Json`: an array, a null, a number that neither int64 nor float64 holds exactly
========== ====================================================================================================
"""

from __future__ import annotations

import datetime
import json
import math
import re
from json.decoder import scanstring
from typing import Any, Union

from .time import MAX, MIN, Timestamp, format_rfc3339, parse_exact

_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\n\r]*")
# Finds where a value ends, and makes nothing of its numbers.
_TEXTS = json.JSONDecoder(parse_int=str, parse_float=str)


class Json:
    """A value as JSON text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def value(self) -> Any:
        """What the text says, as Python has it."""
        return json.loads(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Json) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Json({self.text})"


Value = Union[str, bytes, int, float, bool, Timestamp, Json]
"""A value of a field."""

NULL = Json("null")

KINDS = (str, bytes, int, float, bool, Timestamp, Json)


def of_number(text: str) -> int | float | Json | None:
    """The JSON number ``text`` by the kind that holds it exactly, or none where it is no number."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    sign, whole, fraction, exponent = found.groups()
    if fraction is None and exponent is None:
        if sign and whole == "0":
            return -0.0
        if len(whole) <= 19 and MIN <= (number := int(text)) <= MAX:
            return number
        return Json(text)
    value = float(text)
    if math.isfinite(value) and _decimal(text) == _decimal(repr(value)):
        return value
    return Json(text)


def _decimal(text: str) -> tuple[str, str, int]:
    """The value of a number's text: its sign, its digits without zeros around them, and the exponent."""
    found = _NUMBER.fullmatch(text)
    assert found
    sign, whole, fraction, exponent = found.groups()
    digits = whole + (fraction or "")
    stripped = digits.lstrip("0")
    point = len(whole) - (len(digits) - len(stripped))
    stripped = stripped.rstrip("0")
    if not stripped:
        return sign, "", 0
    # An exponent of more digits than this is out of any float's reach.
    power = int(exponent[:20]) if exponent else 0
    return sign, stripped, point + power


def float_text(value: float) -> str:
    """A float as a JSON number that reads back as the same; ``null`` where it is no number."""
    if not math.isfinite(value):
        return "null"
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    if exponent == "-05":
        sign = "-" if mantissa.startswith("-") else ""
        return f"{sign}0.0000{mantissa.lstrip('-').replace('.', '')}"
    return f"{mantissa}e{int(exponent)}"


def quote(text: str) -> str:
    """A JSON string."""
    quoted = json.dumps(text, ensure_ascii=False)
    if is_utf8(text):
        return quoted
    return _SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", quoted)


def is_utf8(text: str) -> bool:
    """Whether UTF-8 holds a string: not where a lone surrogate is in it."""
    return text.isascii() or not _SURROGATE.search(text)


def decode(text: str) -> Value:
    """The value that a text of a json column stands for, by its own kind.

    A field whose kind differs between the records of a batch is json there. There a time stands as its RFC 3339 string
    behind one space, and bytes as a string behind two, in which each byte that is not UTF-8 is a lone surrogate.
    """
    first = text[:1]
    if first == '"':
        value = text[1:-1] if "\\" not in text else json.loads(text)
        return value if is_utf8(value) else Json(text)
    if first == "t" or first == "f":
        return text == "true"
    if first == " ":
        if text.startswith("  "):
            return json.loads(text[2:]).encode("utf-8", "surrogateescape")
        time = parse_exact(text[2:-1])
        return Json(text.lstrip()) if time is None else time
    if first == "-" or first.isdigit():
        number = of_number(text)
        return Json(text) if number is None else number
    return Json(text)


def members(text: str) -> dict[str, str]:
    """The members of a valid JSON object by their names, as their texts; of two of one name the last one. None of any other
    text."""
    found: dict[str, str] = {}
    if text[:1] != "{":
        return found
    at = _behind_space(text, 1)
    while text[at] != "}":
        name, at = scanstring(text, at + 1)
        # Behind the colon.
        at = _behind_space(text, _behind_space(text, at) + 1)
        end = _TEXTS.raw_decode(text, at)[1]
        found[name] = text[at:end]
        at = _behind_space(text, end)
        if text[at] == ",":
            at = _behind_space(text, at + 1)
    return found


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def mixed_text(value: Value) -> str:
    """The text of a value among others of other kinds, from which :func:`decode` has it again."""
    kind = type(value)
    if kind is Json:
        return value.text
    if kind is Timestamp:
        return f' "{format_rfc3339(value)}"'
    if kind is bytes:
        return "  " + quote(value.decode("utf-8", "surrogateescape"))
    return text_of(value)


def text_of(value: Value) -> str:
    """The JSON text of a value: bytes as a string with U+FFFD for what is not UTF-8, a time as its RFC 3339 form."""
    kind = type(value)
    if kind is Json:
        return value.text if value.text[:1] != " " else text_of(decode(value.text))
    if kind is str:
        return quote(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return float_text(value)
    if kind is Timestamp:
        return f'"{format_rfc3339(value)}"'
    return quote(value.decode("utf-8", "replace"))


def dump(value: Any) -> str:
    """A Python value as JSON text.

    A float that is no number is null, for JSON has none.

    :raises TypeError: when JSON has nothing for it.
    :raises ValueError: when it stands inside of itself.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if is_utf8(text):
            return text
    except TypeError:
        pass
    except ValueError as wrong:
        if "Circular" in str(wrong):
            raise
    if isinstance(value, dict):
        return "{" + ",".join(f"{quote(str(name))}:{dump(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dump, value)) + "]"
    return text_of(of(value))


def of(value: Any) -> Value:
    """A Python value as one of a field: what is no scalar becomes json.

    :raises TypeError: when it has no kind.
    :raises ValueError: when it is outside of what its kind holds.
    """
    kind = type(value)
    if kind is str:
        return value if is_utf8(value) else Json(quote(value))
    if kind is int:
        return value if MIN <= value <= MAX else Json(str(value))
    if kind is bool or kind is float or kind is bytes or kind is Json:
        return value
    if kind is Timestamp:
        return Timestamp.checked(value)
    if value is None:
        return NULL
    if isinstance(value, datetime.datetime):
        return Timestamp.of(value)
    if isinstance(value, (list, tuple, dict)):
        return Json(dump(value))
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    for plain in (str, int, float, bytes):
        if isinstance(value, plain):
            return of(plain(value))
    raise TypeError(f"a field cannot hold a {kind.__name__}")
