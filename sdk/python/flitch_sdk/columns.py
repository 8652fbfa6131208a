"""Columns in Arrow's layout from and to lists of Python's values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from operator import itemgetter
from typing import Any, Union

from . import path, values
from ._abi import Out
from ._abi import filter as abi_filter
from .time import Timestamp
from .values import Json, Value

MaybeValues = Sequence[Union[Value, None]]


def bits_of(bitmap: bytes, rows: int) -> str:
    """A bitmap, least significant bit first, as a ``0`` or ``1`` for each row."""
    return f"{int.from_bytes(bitmap, 'little'):0{len(bitmap) * 8}b}"[::-1][:rows]


def bitmap_of(bits: str) -> bytes:
    """The bitmap of a text of ``0`` and ``1``, one for each row."""
    return int(bits[::-1] or "0", 2).to_bytes((len(bits) + 7) // 8, "little")


def _slices(blobs: Any) -> list[bytes]:
    return _cut(blobs.data, blobs.ends)


def _texts(blobs: Any) -> list[str]:
    data = blobs.data
    if not data.isascii():
        return [text.decode() for text in _slices(blobs)]
    # One decode for all of them; then a place in the text is one in the bytes.
    return _cut(data.decode("ascii"), blobs.ends)


def _cut(whole: Any, ends: list[int]) -> list[Any]:
    """The pieces of a text, or of bytes, that end at these places. Loops in C are three times as fast as those in Python
    here, and more so in WebAssembly."""
    return list(map(whole.__getitem__, map(slice, [0, *ends[:-1]], ends)))


class Column:
    """A column of the batch. Its values are decoded when they are first asked for, all at once."""

    __slots__ = ("_raw", "_values")

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._values: list[Value | None] | None = None

    @property
    def name(self) -> str:
        """The field's path."""
        return self._raw.name

    @property
    def kind(self) -> str:
        """The kind of the column: ``text``, ``bytes``, ``int64``, ``float64``, ``boolean``, ``timestamp``, ``json``."""
        return type(self._raw.values).__name__.removeprefix("Values_").lower()

    @property
    def values(self) -> list[Value | None]:
        """A value for each row, None where the record lacks the field. Those of a json column come by their own kind."""
        if self._values is None:
            self._values = self._decode()
        return self._values

    def _decode(self) -> list[Value | None]:
        raw = self._raw
        kind, content = self.kind, raw.values.value
        out: list[Any]
        if kind == "text":
            out = _texts(content)
        elif kind == "json":
            out = [values.decode(text) if text else None for text in _texts(content)]
        elif kind == "bytes":
            out = _slices(content)
        elif kind == "timestamp":
            out = [Timestamp(nanos) for nanos in content]
        elif kind == "boolean":
            # The last byte has bits that are no rows': `Batch` cuts them off.
            out = [bit == "1" for bit in bits_of(content, len(content) * 8)]
        else:
            out = content
        if raw.present is not None:
            present = bits_of(raw.present, len(out))
            out = [value if bit == "1" else None for value, bit in zip(out, present)]
        return out


MAX_INSIDE = 8
"""How many names deep a member of an object without columns lies at most; what lies deeper is part of a value."""


def names_within(outer: str, name: str) -> list[str]:
    """The names on the way from an object without columns to a field inside of it; none where it cannot lie there."""
    if outer == "@rest":
        names = [] if name in path.RESERVED else path.names(name)
    else:
        names = path.names(name[len(outer) + 1 :]) if path.is_below(name, outer) else []
    return names if len(names) <= MAX_INSIDE else []


def member_within(members: dict[str, str], names: list[str]) -> Value | None:
    """The value at the end of that way, from the members of the object."""
    found = members.get(names[0])
    for inner in names[1:]:
        found = None if found is None else values.members(found).get(inner)
    return None if found is None else values.decode(found)


class Batch:
    """Records as columns, those that the filter asked for."""

    __slots__ = ("_columns", "_objects", "rows")

    def __init__(self, raw: Any) -> None:
        self.rows: int = raw.rows
        self._columns = {column.name: Column(column) for column in raw.columns}
        # Columns in which objects may stand that have no columns for their members.
        self._objects = [column for column in self._columns.values() if column.kind == "json"]

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[Column]:
        return iter(self._columns.values())

    def column(self, name: str) -> Column | None:
        """The column of this path, or None where no record of the batch has the field."""
        found = self._columns.get(name)
        if found is None and "\\" in name:
            found = self._columns.get(path.canonical(name))
        return found

    def values(self, name: str) -> list[Value | None]:
        """The field's value for each row, wherever the record has it: in its column, or inside of an object that has no
        columns for its members, of which ``@rest`` is one. None where the record lacks it."""
        found = self._own(name)
        name = path.canonical(name)
        for outer in self._objects:
            names = names_within(outer.name, name)
            if names:
                found = [_within(value, object_, names) for value, object_ in zip(found, outer.values)]
        return found

    def _own(self, name: str) -> list[Value | None]:
        """The field's value for each row in its own column."""
        column = self.column(name)
        if column is None:
            return [None] * self.rows
        found = column.values
        return found if len(found) == self.rows else found[: self.rows]


def _within(value: Value | None, outer: Value | None, names: list[str]) -> Value | None:
    """A value, or else the one inside of an object."""
    if value is not None or type(outer) is not Json:
        return value
    return member_within(values.members(outer.text), names)


def _members(records: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """What each record has under a name, None where it has nothing."""
    try:
        return list(map(itemgetter(name), records))
    except KeyError:
        return [record.get(name) for record in records]


def column_of(name: str, content: MaybeValues) -> Any:
    """The column of these values, None where a row has none; or None where no row has one."""
    plain = _plain_text(content)
    if plain is not None:
        return Out.Column(name, None, plain)
    kinds = set(map(type, content))
    absent = type(None) in kinds
    kinds.discard(type(None))
    if not kinds:
        return None
    if not kinds.issubset(values.KINDS):
        return column_of(name, [None if value is None else values.of(value) for value in content])
    present = None
    if absent:
        present = bitmap_of("".join(["0" if value is None else "1" for value in content]))
    kind = kinds.pop() if len(kinds) == 1 else None
    return Out.Column(name, present, _values_of(kind, content, absent))


def _plain_text(content: MaybeValues) -> Any:
    """Nothing but texts of ASCII, or None: joining them tells, where their kinds would take one more look at each."""
    try:
        text = "".join(content)  # type: ignore[arg-type]
    except TypeError:
        return None
    if not content or not text.isascii():
        return None
    ends = accumulate(map(len, content))  # type: ignore[arg-type]
    return Out.Text(Out.Blobs(text.encode(), Out.u32s(ends)))


def _values_of(kind: Any, content: MaybeValues, absent: bool) -> Any:
    filled: Any
    if kind is str:
        filled = [value or "" for value in content] if absent else content
        text = "".join(filled)
        if text.isascii():
            return Out.Text(Out.Blobs(text.encode(), Out.u32s(accumulate(map(len, filled)))))
        if values.is_utf8(text):
            return Out.Text(_blobs([value.encode() for value in filled]))
    if kind is int:
        filled = [value or 0 for value in content] if absent else list(content)
        if min(filled) >= values.MIN and max(filled) <= values.MAX:
            return Out.Int64(Out.s64s(filled))
    if kind is float:
        return Out.Float64(Out.f64s([value or 0.0 for value in content] if absent else content))
    if kind is bool:
        return Out.Boolean(bitmap_of("".join(["1" if value else "0" for value in content])))
    if kind is Timestamp:
        return Out.Timestamp(Out.s64s([int(Timestamp.checked(value or 0)) for value in content]))
    if kind is bytes:
        return Out.Bytes(_blobs([value or b"" for value in content]))
    texts = ["" if value is None else values.mixed_text(values.of(value)) for value in content]
    return Out.Json(_blobs([text.encode() for text in texts]))


def _blobs(parts: list[bytes]) -> Any:
    return Out.Blobs(b"".join(parts), Out.u32s(accumulate(map(len, parts))))


class Changes:
    """What becomes of a batch. Without a call every record goes on as it is."""

    __slots__ = ("_rejected", "_remove", "_rows", "_set", "_take")

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._take: list[int] | None = None
        self._set: dict[str, Any] = {}
        self._remove: list[Any] = []
        self._rejected: dict[int, str] = {}

    def set(self, name: str, content: MaybeValues) -> None:
        """Writes a column: a value for every row that goes on, None where the record keeps what it has.

        :raises ValueError: when there are more or fewer values than rows, a path is wrong, or a value is of no kind.
        """
        name, going_on = path.check(name), self.going_on
        if len(content) != going_on:
            raise ValueError(f"{len(content)} values of `{name}` for {going_on} rows that go on")
        column = column_of(name, content)
        if column is not None:
            self._set[name] = column

    def set_rows(self, records: Sequence[dict[str, Any]], *, names: bool = False) -> None:
        """Writes fields row by row: for every row that goes on its values by their paths, of which no two overlap; or, with
        ``names``, by their names, in which a dot is nothing but a dot."""
        paths = dict.fromkeys(chain.from_iterable(records))
        columns: dict[str, list[Any]]
        if len(paths) * len(records) <= 4 * sum(map(len, records)):
            columns = {name: _members(records, name) for name in paths}
        else:
            columns = {name: [None] * len(records) for name in paths}
            for row, record in enumerate(records):
                for name, value in record.items():
                    columns[name][row] = value
        for name, content in columns.items():
            self.set(path.escape(name) if names else name, content)

    def remove(self, name: str, rows: Sequence[bool] | None = None) -> None:
        """Removes a field, and what lies below it, before any column is written: from all rows, or from those for which
        ``rows``, with a place for each row that goes on, is true."""
        bits = None if rows is None else bitmap_of("".join(["1" if row else "0" for row in rows]))
        self._remove.append(abi_filter.Removal(path.check(name), bits))

    def reject(self, row: int, reason: str) -> None:
        """Rejects row ``row`` of the batch handed in: it goes where the host's ``on_error`` says. Of several reasons the first
        one is told."""
        self._rejected.setdefault(row, reason)

    def take(self, rows: Sequence[int]) -> None:
        """Lets only these rows go on, in this order, by their number in the batch handed in. A number may be left out
        (the record is dropped) or stand twice (it is split in two). Rejected rows must not stand there."""
        self._take = list(rows)

    @property
    def going_on(self) -> int:
        """How many rows go on."""
        return self._rows - len(self._rejected) if self._take is None else len(self._take)

    def _finish(self) -> Any:
        rejected = [abi_filter.Rejection(row, reason) for row, reason in self._rejected.items()]
        take = None if self._take is None else Out.u32s(self._take)
        return abi_filter.Changes(take, list(self._set.values()), self._remove, rejected)
