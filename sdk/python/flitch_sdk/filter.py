"""The two kinds of a filter, and what runs them behind the contract."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, get_args

from . import settings as settings_of
from ._abi import Err, Out
from ._abi import filter as abi
from .columns import Batch, Changes
from .record import Record, Reject

S = TypeVar("S")


class Filter(Generic[S]):
    """What both kinds have in common."""

    settings: S
    """What stands under ``settings`` in the configuration."""

    # Whether it has asked for all fields.
    _sees_all = False

    def __init__(self, settings: S) -> None:
        """Takes the settings. An exception refuses the configuration, and its text is shown to the operator."""
        self.settings = settings

    def fields(self) -> Sequence[str] | None:
        """The fields that the filter wants to see, None for all of them; the fewer, the faster. A name means the field
        and what lies below it."""
        return None


class RecordFilter(Filter[S]):
    """A filter that sees one record at a time. The comfortable way."""

    def apply(self, record: Record) -> None:
        """Handles one record. An exception rejects it, with its text as the reason; all others go on."""
        raise NotImplementedError("a filter has `apply`")

    def _run(self, batch: Batch) -> Changes:
        record, apply = Record(batch, self._sees_all), self.apply
        for row in range(batch.rows):
            record._begin(row)
            try:
                apply(record)
            except MemoryError:
                # It says nothing about the record: the host begins with a new instance and finds the one that it was.
                raise
            except BaseException as wrong:
                record._end(reason(wrong))
            else:
                record._end(None)
        return record._finish()


class ColumnFilter(Filter[S]):
    """A filter that sees whole columns. The fast way."""

    def apply(self, batch: Batch, changes: Changes) -> None:
        """Handles one batch. Records that it cannot handle are rejected by ``changes.reject``; an exception rejects the
        batch as a whole."""
        raise NotImplementedError("a filter has `apply`")

    def _run(self, batch: Batch) -> Changes:
        changes = Changes(batch.rows)
        self.apply(batch, changes)
        return changes


class Stateful(ABC):
    """What a filter is besides that remembers things between records, if they are to outlive its instance."""

    @abstractmethod
    def save(self) -> bytes:
        """What the instance remembers now. Called between two batches. An exception ends the instance."""

    @abstractmethod
    def restore(self, saved: bytes) -> None:
        """Adds what was saved once to what the instance remembers: once for each instance that there was, which may be several.
        Another version may have saved it, so put the number of its format in front. An exception is shown to the operator, and the
        filter begins empty."""


def reason(wrong: BaseException) -> str:
    """What is said about an exception: its text, with its type and place if it was not raised on purpose."""
    text = str(wrong)
    if isinstance(wrong, (Reject, ValueError, settings_of.Wrong)) and text:
        return _utf8(text)
    frames = traceback.extract_tb(wrong.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return _utf8(f"{type(wrong).__name__}: {text}{place}" if text else f"{type(wrong).__name__}{place}")


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def settings_type(filter_type: type) -> Any:
    """The type of a filter's settings: ``Settings`` of ``class MyFilter(RecordFilter[Settings])``."""
    for base in filter_type.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            found = get_args(generic)
            if found and not isinstance(found[0], TypeVar):
                return found[0]
    return Any


def export(filter_type: type[RecordFilter[Any]] | type[ColumnFilter[Any]]) -> type:
    """Makes the filter the component's: ``Filter = export(MyFilter)`` at the end of the module that is built."""

    class Exported:
        """The interface ``filter`` of the contract. Nothing but a lack of memory escapes from it."""

        # Of the class, since componentize-py makes an object of it for each call.
        _filter: Any = None

        def configure(self, settings: str) -> Any:
            try:
                made = filter_type(settings_of.parse(settings, settings_type(filter_type)))
                names = made.fields()
            except MemoryError:
                raise
            except BaseException as wrong:
                raise Err(reason(wrong)) from None
            made._sees_all = names is None
            Exported._filter = made
            return abi.Fields_All() if names is None else abi.Fields_Only(list(names))

        def apply(self, batch: Any) -> Any:
            # The host has read what the last answer was.
            Out.held.clear()
            try:
                return self._filter._run(Batch(batch))._finish()
            except MemoryError:
                raise
            except BaseException as wrong:
                raise Err(reason(wrong)) from None

    return Exported


def export_state(exported: type) -> type:
    """Makes the state of an exported filter that is :class:`Stateful` the component's: ``State = export_state(Filter)`` below
    ``Filter = export(MyFilter)``. The component is then of the world ``stateful-plugin``."""

    class ExportedState:
        """The interface ``state`` of the contract."""

        def save(self) -> bytes:
            return bytes(exported._filter.save())  # type: ignore[attr-defined]

        def restore(self, saved: bytes) -> None:
            try:
                exported._filter.restore(saved)  # type: ignore[attr-defined]
            except MemoryError:
                raise
            except BaseException as wrong:
                raise Err(reason(wrong)) from None

    return ExportedState
