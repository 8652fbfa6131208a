"""The contract outside a component: its types, and a host that keeps what a filter says and holds tables for it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Err(Exception):
    """The failure of a function of the contract."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class columns:  # noqa: N801, named as the contract has it
    """The interface `columns`."""

    @dataclass
    class Blobs:
        data: bytes
        ends: list[int]

    @dataclass
    class Values_Text:
        value: Any

    @dataclass
    class Values_Bytes:
        value: Any

    @dataclass
    class Values_Int64:
        value: Any

    @dataclass
    class Values_Float64:
        value: Any

    @dataclass
    class Values_Boolean:
        value: Any

    @dataclass
    class Values_Timestamp:
        value: Any

    @dataclass
    class Values_Json:
        value: Any

    @dataclass
    class Column:
        name: str
        present: bytes | None
        values: Any

    @dataclass
    class Batch:
        rows: int
        columns: list[Any]


class filter:  # noqa: N801
    """The interface `filter`."""

    @dataclass
    class Fields_Only:
        value: list[str]

    @dataclass
    class Fields_All:
        pass

    @dataclass
    class Rejection:
        row: int
        reason: str

    @dataclass
    class Removal:
        name: str
        rows: bytes | None

    @dataclass
    class Changes:
        take: list[int] | None
        set: list[Any]
        remove: list[Any]
        rejected: list[Any]


class host:  # noqa: N801
    """The interface `host`."""

    class Level(enum.Enum):
        DEBUG = 0
        INFO = 1
        WARN = 2
        ERROR = 3

    lines: list[tuple[str, str]] = []
    counters: dict[str, int] = {}
    tables: dict[str, dict[str, dict[str, Any]]] = {}

    @staticmethod
    def log(level: Level, message: str) -> None:
        host.lines.append((level.name.lower(), message))

    @staticmethod
    def count(counter: str, delta: int) -> None:
        if not 0 <= delta < 1 << 64:
            raise OverflowError(f"{delta} is not of u64")
        host.counters[counter] = host.counters.get(counter, 0) + delta

    @staticmethod
    def lookup(table: str, keys: Any, want: list[str]) -> list[Any]:
        from .columns import Column, column_of

        rows = host.tables.get(table)
        if rows is None:
            raise Err(f"no table is named `{table}`")
        found = [rows.get(str(key), {}) if key is not None else {} for key in Column(keys).values]
        made = [column_of(name, [row.get(name) for row in found]) for name in want]
        return [column for column in made if column is not None]
