"""The example of every SDK, in Python: see ../../example/README.md. Written twice, by columns and by records, which say
the same; the component is made of the first, which is the faster."""

import re
from dataclasses import dataclass

from flitch_sdk import Batch, Changes, ColumnFilter, Record, RecordFilter, Reject, Value, export, host, path

# A key and its value, where a word begins.
find_pairs = re.compile(r"(?:^| )([A-Za-z][A-Za-z0-9_.-]*+)=([^ ]*+)").findall
NO_PAIR = "the line has no key=value"


@dataclass
class Settings:
    field: str = "message"
    """The field with the line."""
    table: str = "services"
    """The table of services."""


class Logline(ColumnFilter[Settings]):
    def fields(self) -> list[str]:
        return [self.settings.field]

    def apply(self, batch: Batch, changes: Changes) -> None:
        rows: list[int] = []
        parsed: list[dict[str, Value]] = []
        for row, line in enumerate(batch.values(self.settings.field)):
            if type(line) is not str:
                changes.reject(row, f"the field `{self.settings.field}` is {'missing' if line is None else 'not text'}")
                continue
            pairs = dict(find_pairs(line))
            if not pairs:
                changes.reject(row, NO_PAIR)
            elif pairs.get("level") != "DEBUG":
                rows.append(row)
                parsed.append(pairs)
        found = host.lookup(self.settings.table, [pairs.get("service") for pairs in parsed], ["owner"])
        for pairs, owner in zip(parsed, found["owner"]):
            if owner is not None:
                pairs["owner"] = owner
        changes.take(rows)
        changes.set_rows(parsed, names=True)


class LoglineByRecord(RecordFilter[Settings]):
    def fields(self) -> list[str]:
        return [self.settings.field]

    def apply(self, record: Record) -> None:
        pairs = dict(find_pairs(record.need_text(self.settings.field)))
        if not pairs:
            raise Reject(NO_PAIR)
        if pairs.get("level") == "DEBUG":
            return record.discard()
        for key, value in pairs.items():
            record.set(path.escape(key), value)
        if "service" in pairs:
            owner = host.lookup(self.settings.table, [pairs["service"]], ["owner"])["owner"][0]
            if owner is not None:
                record.set("owner", owner)


Filter = export(Logline)
