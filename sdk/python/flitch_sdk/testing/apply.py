"""A filter's answer, checked as the host does, and applied to the records."""

from __future__ import annotations

import json
from typing import Any

from .. import path, values
from ..columns import Column, bits_of
from ..values import Value
from .batch import TAG

Fields = dict[str, Value]


def names(fields: Any) -> list[str] | None:
    """The fields of an answer of ``configure``, None for all."""
    return getattr(fields, "value", None)


def rows_of(column: Any, rows: int) -> list[Value | None]:
    """The values of an answer's column.

    :raises AssertionError: when the host would not take it.
    """
    content, what = column.values.value, f"column `{column.name}`"
    if hasattr(content, "ends"):
        assert len(content.ends) == rows, f"{what} has {len(content.ends)} of {rows} rows"
        assert list(content.ends) == sorted(content.ends), f"the ends of {what} grow"
        assert (content.ends or [0])[-1] == len(content.data), f"the last end of {what}"
    elif isinstance(content, bytes):
        assert len(content) == (rows + 7) // 8, f"the bytes of {what}"
    else:
        assert len(content) == rows, f"{what} has {len(content)} of {rows} rows"
    assert column.present is None or len(column.present) == (rows + 7) // 8, f"the bitmap of {what}"
    return Column(column).values[:rows]


def going_on(batch: Any, changes: Any) -> list[int]:
    """The rows that go on."""
    rejected = {rejection.row for rejection in changes.rejected}
    assert len(rejected) == len(changes.rejected), "a row is rejected twice"
    assert all(row < batch.rows for row in rejected), f"a row of {batch.rows} is rejected that is none"
    if changes.take is None:
        return [row for row in range(batch.rows) if row not in rejected]
    for row in changes.take:
        assert row < batch.rows, f"row {row} was taken, of {batch.rows}"
        assert row not in rejected, f"row {row} is both taken and rejected"
    return list(changes.take)


def records(batch: Any, changes: Any) -> list[Fields]:
    """The records that go on, each as its fields by their paths."""
    rows = going_on(batch, changes)
    came = [(column.name, Column(column).values) for column in batch.columns]
    removed = [(one.name, None if one.rows is None else bits_of(one.rows, len(rows))) for one in changes.remove]
    written = [(column.name, rows_of(column, len(rows))) for column in changes.set]
    out = []
    for to, row in enumerate(rows):
        record: Fields = {}
        for name, content in came:
            if content[row] is not None:
                record[name] = content[row]
        for name, bits in removed:
            if bits is None or bits[to] == "1":
                _forget(record, name)
        for name, content in written:
            if content[to] is not None:
                _forget(record, name)
                record[name] = content[to]
        out.append(record)
    return out


def _forget(record: Fields, name: str) -> None:
    for own in [own for own in record if own == name or path.is_below(own, name)]:
        del record[own]


def outcome(batch: Any, changes: Any) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """The records that go on as JSON, and the rows that were rejected."""
    rejected = [(rejection.row, rejection.reason) for rejection in changes.rejected]
    return [_nested(record) for record in records(batch, changes)], rejected


def _nested(record: Fields) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in record.items():
        if (name, value) in (("@timestamp", 0), ("@tag", TAG)):
            continue
        plain = json.loads(values.text_of(value))
        if name == "@rest":
            out.update(plain)
            continue
        *above, last = path.names(name)
        place = out
        for outer in above:
            if not isinstance(place.get(outer), dict):
                place[outer] = {}
            place = place[outer]
        place[last] = plain
    return out
