"""The types of the contract: those that componentize-py makes for a component, or the same ones for native tests."""

from __future__ import annotations

from array import array
from typing import Any

try:
    from componentize_py_types import Err
    from wit_world.exports import filter
    from wit_world.imports import columns, host
except ImportError:
    from ._native import Err, columns, filter, host

__all__ = ["Err", "Out", "filter", "host"]


class Plain:
    """The types of a column that goes out, as the contract has them."""

    Column, Blobs = columns.Column, columns.Blobs
    Text, Bytes, Json = columns.Values_Text, columns.Values_Bytes, columns.Values_Json
    Int64, Float64 = columns.Values_Int64, columns.Values_Float64
    Boolean, Timestamp = columns.Values_Boolean, columns.Values_Timestamp
    u32s = s64s = f64s = staticmethod(list)
    held: list[Any] = []


class Lying:
    """The same as the guest's world has them (see :mod:`flitch_sdk._world`): of a list, where it lies and how long it is."""

    if hasattr(columns, "OutColumn"):
        Column, Blobs = columns.OutColumn, columns.OutBlobs
        Text, Bytes, Json = columns.OutValues_Text, columns.OutValues_Bytes, columns.OutValues_Json
        Int64, Float64 = columns.OutValues_Int64, columns.OutValues_Float64
        Boolean, Timestamp = columns.OutValues_Boolean, columns.OutValues_Timestamp

    held: list[array[Any]] = []
    """What the host reads within a call, and behind it."""

    @staticmethod
    def u32s(numbers: Any) -> tuple[int, int]:
        return Lying._lies(array("I", numbers))

    @staticmethod
    def s64s(numbers: Any) -> tuple[int, int]:
        return Lying._lies(array("q", numbers))

    @staticmethod
    def f64s(numbers: Any) -> tuple[int, int]:
        return Lying._lies(array("d", numbers))

    @staticmethod
    def _lies(numbers: array[Any]) -> tuple[int, int]:
        Lying.held.append(numbers)
        return numbers.buffer_info()


Out: Any = Lying if hasattr(columns, "OutColumn") else Plain
"""The types of columns that go out. A component that was built for the contract itself has those of the contract."""
