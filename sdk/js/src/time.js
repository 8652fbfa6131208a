// Instants as nanoseconds since 1970-01-01T00:00:00Z, and RFC 3339, the text form that needs no time zone database.

const SECOND = 1_000_000_000n;
const EXACT = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const LENIENT = /^(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;

export const isInt64 = (number) => number === BigInt.asIntN(64, number);

/** An instant: `ns` is a BigInt of nanoseconds since 1970-01-01T00:00:00Z. */
export class Timestamp {
  constructor(ns) {
    this.ns = BigInt(ns);
    if (!isInt64(this.ns)) throw new RangeError(`${ns} ns lie outside the years 1677 to 2262`);
  }

  /** The instant of a `Date`, which is exact to milliseconds. */
  static of(date) {
    if (Number.isNaN(date.getTime())) throw new RangeError('the date is none');
    return new Timestamp(BigInt(date.getTime()) * 1_000_000n);
  }

  /** The same without what lies below a millisecond. */
  toDate() {
    return new Date(Number(floor(this.ns, 1_000_000n)));
  }

  /** In UTC, with as many digits of the second as it has: `2026-11-20T13:55:36.25Z`. */
  toString() {
    return formatRfc3339(this.ns);
  }
}

/** An RFC 3339 instant to whom the text alone says that it is one, so that no instant stands for two; else undefined. */
export const parseExact = (text) => parse(EXACT, text, false);

/**
 * An instant as loggers write it. The separator may be `_`, the fraction may stand behind a comma, the offset may lack its
 * colon; digits past the ninth are cut, and a leap second counts as the second before it.
 */
export const parseRfc3339 = (text) => parse(LENIENT, text, true);

function parse(pattern, text, lenient) {
  const found = pattern.exec(text);
  if (found === null) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const [fraction = '', sign, offsetHour, offsetMinute] = found.slice(7);
  const days = daysFromCivil(year, month, day);
  if (days === undefined || hour > 23 || minute > 59 || second > 60 || (second === 60 && !lenient)) return undefined;
  if (!lenient && /[1-9]/.test(fraction.slice(9))) return undefined;
  if (sign !== undefined && (offsetHour > 23 || offsetMinute > 59)) return undefined;
  const offset = sign === undefined ? 0 : (offsetHour * 3600 + offsetMinute * 60) * (sign === '-' ? -1 : 1);
  const seconds = days * 86_400 + hour * 3600 + minute * 60 + Math.min(second, 59) - offset;
  const ns = BigInt(seconds) * SECOND + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return isInt64(ns) ? new Timestamp(ns) : undefined;
}

/** The instant `ns` in UTC. */
export function formatRfc3339(ns) {
  const seconds = floor(ns, SECOND);
  const fraction = String(ns - seconds * SECOND).padStart(9, '0').replace(/0+$/, '');
  const whole = Number(seconds);
  const day = Math.floor(whole / 86_400);
  const second = whole - day * 86_400;
  const clock = [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60].map(two).join(':');
  return `${civilFromDays(day)}T${clock}${fraction && '.'}${fraction}Z`;
}

const two = (number) => String(number).padStart(2, '0');

/** The quotient, rounded down. */
const floor = (number, by) => (number - (((number % by) + by) % by)) / by;

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar; undefined where there is no such date. */
function daysFromCivil(year, month, day) {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  if (last === undefined || day < 1 || day > last) return undefined;
  // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March.
  const from = month <= 2 ? year - 1 : year;
  const era = Math.floor(from / 400);
  const ofEra = from - era * 400;
  const ofYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

function civilFromDays(days) {
  days += 719_468;
  const era = Math.floor(days / 146_097);
  const ofEra = days - era * 146_097;
  const year = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365);
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const month = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * month + 2) / 5) + 1;
  const real = month < 10 ? month + 3 : month - 9;
  return `${String(year + era * 400 + (real <= 2 ? 1 : 0)).padStart(4, '0')}-${two(real)}-${two(day)}`;
}
