"""The types of the contract: those that componentize-py makes for a component, or the same ones for native tests."""

from __future__ import annotations

try:
    from componentize_py_types import Err
    from wit_world.exports import filter
    from wit_world.imports import columns, host
except ImportError:
    from ._native import Err, columns, filter, host

__all__ = ["Err", "columns", "filter", "host"]
