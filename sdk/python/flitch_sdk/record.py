"""One record at a time, over columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from . import path, values
from .columns import Batch, Changes, member_within, names_within
from .path import RESERVED
from .time import Timestamp
from .values import Json, Value

T = TypeVar("T")


class Reject(Exception):
    """Rejects the record: its text is the reason."""


class Record:
    """A record, and what becomes of it. Reads see what was set before.

    Fields are named by their path: ``status``, ``kubernetes.labels.app``, with a dot in a name written ``\\.``. The
    event's time is ``@timestamp``, its tag ``@tag``.
    """

    __slots__ = (
        "_batch", "_below", "_columns", "_dropped", "_kin", "_members", "_outer", "_refusal", "_rejected", "_removals",
        "_removed", "_reordered", "_row", "_set", "_sets", "_start", "_take",
    )  # fmt: skip

    def __init__(self, batch: Batch, sees_all: bool = False) -> None:
        self._batch = batch
        # Where the filter has asked for all fields, some may stand in objects that have no columns for their members: these
        # columns. And the members of those that were looked into, of this row.
        self._outer = [column.name for column in batch if column.kind == "json"] if sees_all else []
        self._members: dict[str, dict[str, str]] = {}
        self._columns: dict[str, list[Value | None]] = {}
        self._row = 0
        # What this copy of the record sets and removes, by path; and that of all copies that go on.
        self._set: dict[str, Value] = {}
        self._removed: list[str] = []
        self._sets: list[dict[str, Value]] = []
        self._removals: dict[str, list[int]] = {}
        self._take: list[int] = []
        self._start = 0
        self._rejected: list[tuple[int, str]] = []
        self._dropped = False
        self._refusal: str | None = None
        self._reordered = False
        # For each path that was set: those set paths that lie above or below; and for paths above, those below.
        self._kin: dict[str, list[str]] = {}
        self._below: dict[str, list[str]] = {}

    # Reading.

    def get(self, name: str) -> Value | None:
        """The field's value by its kind (see :mod:`flitch_sdk.values`), or None where it is absent."""
        if self._set or self._removed:
            if name in self._set:
                return self._set[name]
            if self._is_replaced(name):
                return None
        column = self._columns.get(name)
        if column is None:
            if "\\" in name and (plain := path.canonical(name)) != name:
                return self.get(plain)
            column = self._columns[name] = self._batch._own(name)
        value = column[self._row]
        if value is None and self._outer:
            return self._inside(name)
        return value

    def has(self, name: str) -> bool:
        """Whether the record has the field, be it as null."""
        return self.get(name) is not None

    def text(self, name: str) -> str | None:
        """The field's text, or None where it is absent or no text."""
        value = self.get(name)
        return value if type(value) is str else None

    def need_text(self, name: str) -> str:
        """The field's text.

        :raises Reject: when it is absent or no text.
        """
        value = self.get(name)
        if type(value) is str:
            return value
        raise Reject(f"the field `{name}` is {'missing' if value is None else 'not text'}")

    def integer(self, name: str) -> int | None:
        """The field's whole number, or None where it is absent or none."""
        value = self.get(name)
        return value if type(value) is int else None

    def number(self, name: str) -> float | None:
        """The field's number as a float, or None where it is absent or no number."""
        value = self.get(name)
        return float(value) if type(value) is int or type(value) is float else None

    def boolean(self, name: str) -> bool | None:
        """The field's boolean, or None where it is absent or none."""
        value = self.get(name)
        return value if type(value) is bool else None

    def timestamp(self, name: str = "@timestamp") -> Timestamp | None:
        """The field's instant, or None where it is absent or none. Its ``datetime()`` is the same in UTC."""
        value = self.get(name)
        return value if type(value) is Timestamp else None

    def json(self, name: str) -> Any:
        """The field as JSON has it, whatever its kind: a list, a number, a text; None where it is absent or null."""
        value = self.get(name)
        return None if value is None else Json(values.text_of(value)).value()

    def fields(self) -> Iterator[tuple[str, Value]]:
        """All fields that the filter sees, in the order of their paths, then those that it has added. What stands in
        ``@rest`` is one of them, whatever has columns in other records."""
        seen = sorted(column.name for column in self._batch)
        for name in seen:
            value = self._set.get(name)
            if value is None and not self._is_replaced(name):
                value = self._batch._own(name)[self._row]
            if value is not None:
                yield name, value
        yield from [(name, value) for name, value in self._set.items() if name not in seen]

    # Writing.

    def set(self, name: str, value: Any) -> None:
        """Sets a field. The value replaces whatever stood at, above or below its path.

        The members of a dict become fields of their own; a list and None become json; a ``datetime`` an instant. What is
        an ``int`` for ``@timestamp`` is nanoseconds since 1970.

        :raises TypeError: when a field cannot hold such a value.
        :raises ValueError: when the value, or the path, is outside of what the host takes.
        """
        kind = type(value)
        if kind is dict and value and name not in RESERVED:
            self.remove(name)
            for member, inner in value.items():
                # Not by `path.push`, to which an empty path is the record itself.
                self.set(f"{name}.{path.escape(str(member))}", inner)
            return
        kin = self._kin.get(name)
        if kin is None:
            name, kin = self._meet(name)
        if kind is not str or not value.isascii():
            value = values.of(value)
        if name in RESERVED:
            value = _reserved(name, value)
        self._set[name] = value
        if kin:
            for other in kin:
                self._set.pop(other, None)

    def remove(self, name: str) -> None:
        """Removes a field, and what lies below it.

        :raises ValueError: when it is one of the host's, or the path is wrong.
        """
        name = path.check(name)
        if name in RESERVED[:2]:
            raise ValueError(f"`{name}` cannot be removed")
        for other in [set_one for set_one in self._set if set_one == name or path.is_below(set_one, name)]:
            del self._set[other]
        if name not in self._removed:
            self._removed.append(name)

    def discard(self) -> None:
        """Drops the record: it goes nowhere, and the host counts it as dropped on purpose."""
        self._dropped = True

    def reject(self, reason: str) -> None:
        """Rejects the record, as an exception from ``apply`` does. Of several reasons the first one is told."""
        if self._refusal is None:
            self._refusal = reason

    def split(self, parts: Iterable[T]) -> Iterator[T]:
        """Splits the record: ``for part in record.split(parts): record.set(…)`` makes one record for each part, in
        order, each beginning with what was changed before. No parts at all drop the record."""
        base, removed, first = dict(self._set), list(self._removed), True
        for part in parts:
            if not first:
                self._close()
                self._set, self._removed = dict(base), list(removed)
                self._reordered = True
            first = False
            yield part
        self._dropped = self._dropped or first

    # What runs it.

    def _meet(self, name: str) -> tuple[str, list[str]]:
        name = path.check(name)
        if name in self._kin:
            return name, self._kin[name]
        kin = list(self._below.get(name, ()))
        for outer in path.above(name):
            if outer in self._kin:
                kin.append(outer)
            self._below.setdefault(outer, []).append(name)
        for other in kin:
            self._kin[other].append(name)
        self._kin[name] = kin
        return name, kin

    def _inside(self, name: str) -> Value | None:
        """The value at a path inside of an object of the record that has no columns for its members."""
        for outer in self._outer:
            names = [] if outer == "@rest" and outer in self._removed else names_within(outer, name)
            value = self._batch._own(outer)[self._row] if names else None
            if type(value) is not Json:
                continue
            members = self._members.get(outer)
            if members is None:
                members = self._members[outer] = values.members(value.text)
            found = member_within(members, names)
            if found is not None:
                return found
        return None

    def _is_replaced(self, name: str) -> bool:
        for removed in self._removed:
            if removed == name or path.is_below(name, removed):
                return True
        return any(path.overlap(other, name) for other in self._set)

    def _begin(self, row: int) -> None:
        self._row = row
        self._start = len(self._take)
        self._set = {}
        if self._removed:
            self._removed = []
        if self._members:
            self._members = {}

    def _end(self, refusal: str | None) -> None:
        if self._refusal is not None:
            refusal = self._refusal
        if refusal is None:
            self._close()
            return
        self._refusal, self._dropped = None, False
        if len(self._take) > self._start:
            del self._take[self._start :], self._sets[self._start :]
            for rows in self._removals.values():
                while rows and rows[-1] >= self._start:
                    rows.pop()
        self._rejected.append((self._row, refusal))

    def _close(self) -> None:
        if self._dropped:
            self._dropped = False
            self._reordered = True
            return
        for name in self._removed:
            self._removals.setdefault(name, []).append(len(self._take))
        self._take.append(self._row)
        self._sets.append(self._set)

    def _finish(self) -> Changes:
        changes = Changes(self._batch.rows)
        for row, reason in self._rejected:
            changes.reject(row, reason)
        if self._reordered:
            changes.take(self._take)
        going_on = len(self._take)
        for name, rows in self._removals.items():
            marked = [False] * going_on
            for row in rows:
                marked[row] = True
            if rows:
                changes.remove(name, None if len(rows) == going_on else marked)
        changes.set_rows(self._sets)
        return changes


def _reserved(name: str, value: Value) -> Value:
    """A value for one of the host's names, if it has a right to it."""
    if name == "@timestamp":
        if type(value) in (int, Timestamp):
            return Timestamp.checked(value)
        raise ValueError("`@timestamp` must be a time")
    if name == "@tag":
        if type(value) is str:
            return value
        raise ValueError("`@tag` must be text")
    if type(value) is Json and value.text.startswith("{"):
        return value
    raise ValueError("`@rest` must be a JSON object")
