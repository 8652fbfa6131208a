"""Records as batches, as the host makes them."""

from __future__ import annotations

import json
from typing import Any

from .. import path, values
from .._abi import columns as abi
from ..columns import Batch, column_of
from ..time import parse_exact
from ..values import Json, Value

MAX_DEPTH = 8
"""Depth past which an object is one json value."""
MAX_MEMBERS = 64
"""Members past which it is."""
TAG = "test"
"""The tag of a record that brings none."""


def _number(text: str) -> Any:
    return values.of_number(text)


def read(text: str) -> Any:
    """A JSON text, in which a number that has no kind is a :class:`Json`, and `Infinity` and its like are refused."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_float=_number, parse_int=_number, parse_constant=refuse)


def flatten(record: dict[str, Any]) -> dict[str, Value]:
    """The members of an object by their paths, each of its kind."""
    out: dict[str, Value] = {}
    _members(record, "", 1, out)
    for name in ("@timestamp", "@tag"):
        value = out.get(name)
        time = parse_exact(value) if name == "@timestamp" and type(value) is str else None
        if time is not None:
            out[name] = time
        elif name in out and (name == "@timestamp" or type(value) is not str):
            out["_" + name] = out.pop(name)
    return out


def _members(record: dict[str, Any], above: str, depth: int, out: dict[str, Value]) -> None:
    for name, value in record.items():
        # The first name of a record may be empty, and is a name all the same.
        below = path.escape(name) if depth == 1 else f"{above}.{path.escape(name)}"
        if isinstance(value, dict) and 0 < len(value) <= MAX_MEMBERS and depth < MAX_DEPTH:
            _members(value, below, depth + 1, out)
        else:
            out[below] = values.of(value)


def of_records(records: list[dict[str, Value]]) -> Any:
    """A batch of records, each as its fields by their paths."""
    names = dict.fromkeys(name for record in records for name in record)
    made = [column_of(name, [record.get(name) for record in records]) for name in names]
    return abi.Batch(len(records), [column for column in made if column is not None])


def of_ndjson(ndjson: str) -> Any:
    """The records of an NDJSON text as a batch."""
    records = [flatten(read(line)) for line in ndjson.split("\n") if line.strip()]
    for record in records:
        record.setdefault("@timestamp", values.Timestamp(0))
        record.setdefault("@tag", TAG)
    return of_records(records)


def select(batch: Any, names: list[str] | None) -> Any:
    """The batch as a filter sees it: with the fields it wants, what lies below them, and those of them that stand inside
    of a json value."""
    if names is None:
        return batch
    raw = [c for c in batch.columns if any(c.name == n or path.is_below(c.name, n) for n in names)]
    seen = {column.name: column for column in raw}
    whole = Batch(batch)
    for name in names:
        lifted = [_inside(whole, row, name) for row in range(batch.rows)]
        column = column_of(name, [a or b for a, b in zip(lifted, whole.values(name))] if any(lifted) else [])
        if column is not None:
            seen[name] = column
    return abi.Batch(batch.rows, list(seen.values()))


def _inside(batch: Batch, row: int, name: str) -> Value | None:
    for outer in path.above(name):
        value = batch.values(outer)[row]
        if type(value) is not Json:
            continue
        found = read(value.text)
        for member in path.names(name[len(outer) + 1 :]):
            found = found.get(member) if isinstance(found, dict) else None
        if found is not None:
            return values.of(found)
    return None
