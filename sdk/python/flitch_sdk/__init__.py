"""Filters for flitch in Python: you write what becomes of a record, the SDK makes it a WebAssembly component."""

from . import host, path
from .columns import Batch, Changes, Column
from .filter import ColumnFilter, RecordFilter, Stateful, export, export_state
from .record import Record, Reject
from .time import Timestamp
from .values import Json, Value

__all__ = [
    "Batch",
    "Changes",
    "Column",
    "ColumnFilter",
    "Json",
    "Record",
    "RecordFilter",
    "Reject",
    "Stateful",
    "Timestamp",
    "Value",
    "export",
    "export_state",
    "host",
    "path",
]
