"""Instants as nanoseconds since 1970-01-01T00:00:00Z, and RFC 3339, the text form that needs no time zone database."""

from __future__ import annotations

import datetime
import re

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

MIN, MAX = -(1 << 63), (1 << 63) - 1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_DAY_ZERO = datetime.date(1970, 1, 1).toordinal()

_EXACT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_LENIENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))", re.ASCII
)


class Timestamp(int):
    """An instant: nanoseconds since 1970-01-01T00:00:00Z, as a whole number."""

    __slots__ = ()

    @classmethod
    def of(cls, moment: datetime.datetime) -> Timestamp:
        """The instant of a ``datetime``, exact to its microseconds.

        :raises ValueError: when it has no time zone, or lies outside the years 1677 to 2262.
        """
        if moment.tzinfo is None:
            raise ValueError("a datetime without a time zone is no instant: give it tzinfo")
        since = moment - _EPOCH
        return cls.checked(((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000)

    @classmethod
    def checked(cls, nanos: int) -> Timestamp:
        """The instant so many nanoseconds after 1970.

        :raises ValueError: when int64 does not hold it.
        """
        if not MIN <= nanos <= MAX:
            raise ValueError(f"{nanos} ns lie outside the years 1677 to 2262")
        return cls(nanos)

    def datetime(self) -> datetime.datetime:
        """The same instant in UTC, without what lies below a microsecond."""
        return _EPOCH + datetime.timedelta(microseconds=int(self) // 1000)

    def __repr__(self) -> str:
        return f"Timestamp({format_rfc3339(self)})"


def parse_exact(text: str) -> Timestamp | None:
    """An RFC 3339 instant to whom the text alone says that it is one, so that no instant stands for two; else none."""
    return _parse(_EXACT, text, lenient=False)


def parse_rfc3339(text: str) -> Timestamp | None:
    """An instant as loggers write it. The separator may be ``_``, the fraction may stand behind a comma, the offset may
    lack its colon; digits past the ninth are cut, and a leap second counts as the second before it."""
    return _parse(_LENIENT, text, lenient=True)


def _parse(pattern: re.Pattern[str], text: str, *, lenient: bool) -> Timestamp | None:
    found = pattern.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, offset_hour, offset_minute = found.groups()[6:]
    if hour > 23 or minute > 59 or second > 60 or second == 60 and not lenient:
        return None
    fraction = fraction or ""
    if not lenient and fraction[9:].strip("0"):
        return None
    offset = 0
    if sign:
        if int(offset_hour) > 23 or int(offset_minute) > 59:
            return None
        offset = (int(offset_hour) * 3600 + int(offset_minute) * 60) * (-1 if sign == "-" else 1)
    try:
        days = datetime.date(year, month, day).toordinal() - _DAY_ZERO
    except ValueError:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + min(second, 59) - offset
    nanos = seconds * SECOND + int(fraction[:9].ljust(9, "0"))
    return Timestamp(nanos) if MIN <= nanos <= MAX else None


def format_rfc3339(nanos: int) -> str:
    """The instant in UTC, with as many digits of the second as it has: ``2026-11-20T13:55:36.25Z``."""
    seconds, fraction = divmod(nanos, SECOND)
    days, second = divmod(seconds, 86_400)
    date = datetime.date.fromordinal(days + _DAY_ZERO)
    text = f"{date.isoformat()}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{text}.{fraction:09}".rstrip("0") + "Z" if fraction else text + "Z"
