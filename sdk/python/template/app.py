"""Adds the domain of an e-mail address, and drops what comes from some of them."""

import dataclasses
from dataclasses import dataclass

from flitch_sdk import Record, RecordFilter, Reject, export


@dataclass
class Settings:
    """What stands under `settings` in the configuration."""

    field: str
    """The field that holds the address."""
    drop: list[str] = dataclasses.field(default_factory=list)
    """Domains whose records are dropped."""


class EmailDomain(RecordFilter[Settings]):
    def fields(self) -> list[str]:
        return [self.settings.field]

    def apply(self, record: Record) -> None:
        address = record.need_text(self.settings.field)
        _, at, domain = address.rpartition("@")
        if not at:
            raise Reject(f"“{address}” is no address")
        domain = domain.lower()
        if domain in self.settings.drop:
            record.discard()
            return
        record.set("user_email_domain", domain)


Filter = export(EmailDomain)
