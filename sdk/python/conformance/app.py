"""The conformance guest of the Python SDK. It does what its settings say, step by step, so that the cases under
`wit/cases/batches` can hold it to the contract; `wit/cases/README.md` has the steps."""

from dataclasses import dataclass, field
from typing import Any, Optional

from flitch_sdk._abi import Out
from flitch_sdk import Record, RecordFilter, Reject, Stateful, Timestamp, export, export_state, host


@dataclass
class Settings:
    """What the guest does."""

    fields: Optional[list[str]] = None
    """The fields that it asks for; all of them if there are none."""
    refuse: Optional[str] = None
    """It refuses these settings, and says this."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    """What it does with each record."""


class Guest(RecordFilter[Settings], Stateful):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.number = 0
        if settings.refuse is not None:
            raise Reject(settings.refuse)

    def fields(self) -> Optional[list[str]]:
        return self.settings.fields

    def apply(self, record: Record) -> None:
        for step in self.settings.steps:
            condition = step.get("if")
            if condition is not None and not record.has(condition):
                continue
            if step["do"] == "number":
                self.number += 1
                record.set(step["to"], self.number)
            else:
                act(step, record)

    def save(self) -> bytes:
        return f"1 {self.number}".encode()

    def restore(self, saved: bytes) -> None:
        version, _, number = saved.partition(b" ")
        if version != b"1":
            raise ValueError("its format is not known")
        self.number += int(number)


def act(step: dict[str, Any], record: Record) -> None:
    what = step["do"]
    if what == "drop":
        record.discard()
    elif what == "reject":
        record.reject(step["reason"])
    elif what == "set":
        record.set(step["field"], step["value"])
    elif what == "set_time":
        record.set(step["field"], Timestamp(step["ns"]))
    elif what == "set_bytes":
        record.set(step["field"], bytes(step["bytes"]))
    elif what == "copy":
        value = record.get(step["from"])
        if value is not None:
            record.set(step["to"], value)
    elif what == "remove":
        record.remove(step["field"])
    elif what == "split":
        items = record.json(step["field"])
        if not isinstance(items, list):
            raise Reject(f"{step['field']} is no array")
        for item in record.split(items):
            record.set(step["to"], item)
    elif what == "log":
        getattr(host, step["level"])(step["message"])
    elif what == "count":
        host.count(step["counter"], step["by"])
    elif what == "lookup":
        key = record.need_text(step["key"])
        for name, found in host.lookup(step["table"], [key], step["want"]).items():
            if found[0] is not None:
                record.set(name, found[0])
    else:
        misbehave(what, step, record)


misanswers = False


def misbehave(what: str, step: dict[str, Any], record: Record) -> None:
    """What no filter should do, so that a test can see that the host survives it in this language."""
    global misanswers
    if what == "throw":
        raise RuntimeError(step["message"])
    if what == "trap":
        # Lack of memory is what the SDK lets through.
        raise MemoryError
    if what == "spin":
        while True:
            pass
    if what == "eat":
        hoard = []
        while True:
            hoard.append(bytearray(1 << 20))
    if what == "recurse":
        misbehave(what, step, record)
    if what != "answer":
        raise Reject(f"there is no step `{what}`")
    misanswers = True


class Filter(export(Guest)):  # type: ignore[misc]
    """The guest, which at the step `answer` takes a row that there is not."""

    def apply(self, batch: Any) -> Any:
        changes = super().apply(batch)
        if misanswers:
            changes.take = Out.u32s([batch.rows + 7])
        return changes


State = export_state(Filter)
