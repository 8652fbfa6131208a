"""Native tests of filters: records in as JSON, records out as JSON, and nothing of WebAssembly.

>>> from flitch_sdk.testing import Tester
>>> outcome = Tester(Shout, {}).run([{"word": "hey"}, {"word": 7}])
>>> outcome.records, outcome.rejected
([{'word': 'HEY'}], [(1, 'the field `word` is not text')])

Arrays, nulls and fields of mixed kinds are json columns here as they are in the host, and members of objects are columns
under their paths. Every record has the time 1970-01-01T00:00:00Z in ``@timestamp`` and the tag ``test`` in ``@tag``
unless it brings others; records that come out show the two only where they are others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .._abi import Err, host
from ..filter import export
from . import apply
from .batch import of_ndjson, select

__all__ = ["Outcome", "Refused", "Tester", "set_table", "take_counters", "take_log"]


class Refused(Exception):
    """The filter refuses its settings, or fails for a batch as a whole: what it says."""


@dataclass
class Outcome:
    """What became of records."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """Those that go on."""
    rejected: list[tuple[int, str]] = field(default_factory=list)
    """The rows that were rejected, with the reasons."""


class Tester:
    """A configured filter under test."""

    def __init__(self, filter_type: Any, settings: Any = None) -> None:
        """Configures the filter.

        :raises Refused: when it refuses the settings.
        """
        self._filter = export(filter_type)()
        self.fields = apply.names(self._call(self._filter.configure, json.dumps(settings)))

    def run(self, records: Iterable[dict[str, Any]]) -> Outcome:
        """Runs records through the filter as one batch.

        :raises Refused: when it fails for the batch as a whole.
        :raises AssertionError: when its answer breaks the contract.
        """
        return self.run_ndjson("\n".join(json.dumps(record) for record in records))

    def run_ndjson(self, ndjson: str) -> Outcome:
        """The same for the records of an NDJSON text."""
        whole = of_ndjson(ndjson)
        changes = self._call(self._filter.apply, select(whole, self.fields))
        return Outcome(*apply.outcome(whole, changes))

    @staticmethod
    def _call(function: Any, argument: Any) -> Any:
        try:
            return function(argument)
        except Err as refused:
            raise Refused(refused.value) from None


def set_table(name: str, rows: dict[str, dict[str, Any]]) -> None:
    """Gives the host a table to look into: its rows by their keys."""
    host.tables[name] = rows


def take_log() -> list[tuple[str, str]]:
    """What was logged since the last call: levels and lines."""
    lines, host.lines = host.lines, []
    return lines


def take_counters() -> dict[str, int]:
    """What was counted since the last call, by the name of the counter."""
    counters, host.counters = host.counters, {}
    return counters
