"""What the host gives a filter: a log, counters and lookup tables. In a native test these go to a stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

from ._abi import Err
from ._abi import host as _host
from .columns import Column, column_of
from .record import Reject
from .values import Value


def debug(message: str) -> None:
    """Writes a line to the host's log, under the filter's name. The host limits the rate."""
    _host.log(_host.Level.DEBUG, _utf8(message))


def info(message: str) -> None:
    """The same at level ``info``."""
    _host.log(_host.Level.INFO, _utf8(message))


def warn(message: str) -> None:
    """The same at level ``warn``."""
    _host.log(_host.Level.WARN, _utf8(message))


def error(message: str) -> None:
    """The same at level ``error``."""
    _host.log(_host.Level.ERROR, _utf8(message))


def _utf8(message: Any) -> str:
    text = str(message)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def count(counter: str, delta: int = 1) -> None:
    """Adds to a counter that the host exports under the filter's name.

    :raises ValueError: when it is no whole number from 0 to 2^64 - 1.
    """
    if type(delta) is not int or not 0 <= delta < 1 << 64:
        raise ValueError(f"a counter cannot grow by {delta!r}")
    _host.count(_utf8(counter), delta)


def lookup(
    table: str, keys: Sequence[Union[Value, None]], want: Sequence[str]
) -> dict[str, list[Value | None]]:
    """Looks every key up in a table that the host keeps, and answers the wanted fields: for each name a value per key,
    None where the key was not found or has no such field. Ask once for a whole batch: a call costs some microseconds.

    :raises Reject: when the host has no such table, or the table no such field.
    """
    found: dict[str, list[Value | None]] = {name: [None] * len(keys) for name in want}
    asked = column_of("key", keys)
    if asked is None:
        return found
    try:
        answer = _host.lookup(table, asked, list(want))
    except Err as refused:
        raise Reject(f"table {table}: {refused.value}") from None
    for raw in answer:
        found[raw.name] = Column(raw).values[: len(keys)]
    return found
