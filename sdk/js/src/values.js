// Values by their kinds, and their JSON.
//
//   text       string
//   bytes      Uint8Array
//   int64      number, or bigint where a number cannot hold it exactly
//   float64    number; a whole one is a Float64 where its kind matters
//   boolean    boolean
//   timestamp  Timestamp
//   json       Json: an array, a null, a number that neither int64 nor float64 holds exactly

import { Timestamp, isInt64, parseExact } from './time.js';
import * as utf8 from './utf8.js';

const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** A value as JSON text. */
export class Json {
  constructor(text) {
    this.text = text;
  }

  /** What the text says, as JSON.parse has it: numbers that no `number` holds are rounded. */
  value() {
    return JSON.parse(this.text);
  }
}

/** A whole number that is a float64 all the same: `new Float64(2)` is 2.0. */
export class Float64 {
  constructor(value) {
    this.value = value;
  }
}

export const NULL = new Json('null');

/** A float64 as a value of its kind. */
export const ofFloat = (value) => (Number.isInteger(value) ? new Float64(value) : value);

/** An int64, a bigint, as a value of its kind. */
export const ofInt = (value) => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

/** The JSON number `text` by the kind that holds it exactly, or undefined where it is no number. */
export function ofNumber(text) {
  const found = NUMBER.exec(text);
  if (found === null) return undefined;
  const [, sign, whole, fraction, exponent] = found;
  if (fraction === undefined && exponent === undefined) {
    if (sign && whole === '0') return new Float64(-0);
    if (whole.length <= 15) return Number(text);
    const number = whole.length <= 19 ? BigInt(text) : undefined;
    return number !== undefined && isInt64(number) ? ofInt(number) : new Json(text);
  }
  const value = Number(text);
  return Number.isFinite(value) && decimal(text) === decimal(floatText(value)) ? ofFloat(value) : new Json(text);
}

/** The value of a number's text: its sign, its digits without zeros around them, and the exponent. */
function decimal(text) {
  const [, sign, whole, fraction = '', exponent = '0'] = NUMBER.exec(text);
  const digits = whole + fraction;
  const stripped = digits.replace(/^0+/, '');
  const point = whole.length - (digits.length - stripped.length);
  const bare = stripped.replace(/0+$/, '');
  return bare === '' ? `${sign}0` : `${sign}${bare}e${BigInt(point) + BigInt(exponent)}`;
}

/** A float as a JSON number that reads back as the same; `null` where it is no number. */
export function floatText(value) {
  if (!Number.isFinite(value)) return 'null';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa, exponent] = Math.abs(value).toExponential().split('e');
  const sign = value < 0 ? '-' : '';
  const digits = mantissa.replace('.', '');
  const point = Number(exponent) + 1;
  if (point > 16 || point <= -5) return `${sign}${mantissa}e${Number(exponent)}`;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return `${sign}${digits.padEnd(point, '0')}.0`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** A JSON string. */
export const quote = (text) => JSON.stringify(text);

/**
 * The value that a text of a json column stands for, by its own kind. A field whose kind differs between the records of a
 * batch is json there; there a time stands as its RFC 3339 string behind one space, and bytes as a string behind two, in
 * which each byte that is not UTF-8 is a lone surrogate.
 */
export function decode(text) {
  const first = text.charCodeAt(0);
  if (first === 0x22) {
    const value = text.includes('\\') ? JSON.parse(text) : text.slice(1, -1);
    return utf8.isWellFormed(value) ? value : new Json(text);
  }
  if (first === 0x2d || (first >= 0x30 && first <= 0x39)) return ofNumber(text) ?? new Json(text);
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (first !== 0x20) return new Json(text);
  if (text.charCodeAt(1) === 0x20) return utf8.encode(JSON.parse(text.slice(2)));
  return parseExact(text.slice(2, -1)) ?? new Json(text.trimStart());
}

/** The text of a value among others of other kinds, from which `decode` has it again. */
export function mixedText(value) {
  if (value instanceof Json) return value.text;
  if (value instanceof Timestamp) return ` "${value}"`;
  // What JSON.stringify makes of a lone surrogate is its escape.
  if (value instanceof Uint8Array) return `  ${JSON.stringify(utf8.decode(value, true))}`;
  return textOf(value);
}

/** The JSON text of a value: bytes as a string with U+FFFD for what is not UTF-8, a time as its RFC 3339 form. */
export function textOf(value) {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : floatText(value);
  }
  if (value instanceof Json) return value.text[0] === ' ' ? textOf(decode(value.text)) : value.text;
  if (value instanceof Float64) return floatText(value.value);
  if (value instanceof Timestamp) return `"${value}"`;
  return quote(utf8.decode(value));
}

/** A JavaScript value as JSON text; of a field's values too. */
export function dump(value) {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return `[${value.map(dump).join(',')}]`;
  if (isObject(value)) {
    return `{${Object.entries(value).map(([name, inner]) => `${quote(name)}:${dump(inner)}`).join(',')}}`;
  }
  return textOf(of(value));
}

/** Whether a value is an object whose members are fields. */
export const isObject = (value) =>
  typeof value === 'object' && value !== null &&
  (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null);

/** A JavaScript value as one of a field: what is no scalar becomes json. Throws where no field can hold it. */
export function of(value) {
  switch (typeof value) {
    case 'string':
      return utf8.isAscii(value) || utf8.isWellFormed(value) ? value : new Json(quote(value));
    case 'boolean':
      return value;
    case 'number':
      return Number.isInteger(value) && (!Number.isSafeInteger(value) || Object.is(value, -0)) ? new Float64(value) : value;
    case 'bigint':
      return isInt64(value) ? ofInt(value) : new Json(String(value));
  }
  if (value === null) return NULL;
  if (value instanceof Timestamp || value instanceof Uint8Array || value instanceof Json || value instanceof Float64) {
    return value;
  }
  if (value instanceof Date) return Timestamp.of(value);
  if (Array.isArray(value) || isObject(value)) return new Json(dump(value));
  throw new TypeError(`a field cannot hold a ${typeof value}`);
}
