// Settings: the JSON text that the host hands over, checked against what the filter wants.

import * as json from './json.js';
import { textOf } from './values.js';

/** Settings that are refused, with the path of the wrong key. */
export class Wrong extends Error {}

/** A checker of one value: `read(value, path)` answers what the filter gets, or throws; `or` makes a key optional. */
class Checker {
  constructor(read, fallback) {
    this.read = read;
    this.fallback = fallback;
  }

  /** The key may be missing, and the value is this one then; a function makes one. */
  or(fallback) {
    return new Checker(this.read, typeof fallback === 'function' ? fallback : () => fallback);
  }
}

const of = (expected, isRight) =>
  new Checker((value, path) => {
    if (!isRight(value)) throw mismatch(value, expected, path);
    return value;
  });

export const text = () => of('a string', (value) => typeof value === 'string');
export const boolean = () => of('a boolean', (value) => typeof value === 'boolean');

/** A number of any kind. */
export const number = () =>
  new Checker((value, path) => {
    const plain = json.plain(value);
    if (typeof plain !== 'number' && typeof plain !== 'bigint') throw mismatch(value, 'a number', path);
    return Number(plain);
  });

/** A whole number: a `bigint` where a number cannot hold it. */
export const integer = () =>
  of('a whole number', (value) => typeof value === 'bigint' || Number.isSafeInteger(value));

/** One of these texts. */
export const oneOf = (...options) =>
  new Checker((value, path) => {
    if (typeof value !== 'string') throw mismatch(value, 'a string', path);
    if (!options.includes(value)) throw new Wrong(`${path}: unknown variant \`${value}\`, ${expected(options)}`);
    return value;
  });

export const list = (item) =>
  new Checker((value, path) => {
    if (!Array.isArray(value)) throw mismatch(value, 'a sequence', path);
    return value.map((inner, place) => item.read(inner, `${path}[${place}]`));
  });

/** An object whose keys are free. */
export const map = (item) =>
  new Checker((value, path) => {
    if (!isMap(value)) throw mismatch(value, 'a map', path);
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, item.read(inner, `${path}.${name}`)]));
  });

/** An object of these keys, and no others. */
export const object = (shape) =>
  new Checker((value, path) => {
    if (!isMap(value)) throw mismatch(value, 'a map', path);
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(shape, name)) {
        throw new Wrong(`${path}.${name}: unknown field \`${name}\`, ${expected(Object.keys(shape))}`);
      }
    }
    const out = {};
    for (const [name, checker] of Object.entries(shape)) {
      if (Object.hasOwn(value, name)) out[name] = checker.read(value[name], `${path}.${name}`);
      else if (checker.fallback === undefined) throw new Wrong(`${path}: missing field \`${name}\``);
      else out[name] = checker.fallback();
    }
    return out;
  });

/** Anything, with numbers as `number`. */
export const any = () => new Checker((value) => json.plain(value));

/** Anything, with numbers as a field's values have them: `bigint`, `Float64`, `Json`. */
export const exact = () => new Checker((value) => value);

/** Reads settings. No settings at all are an empty object, so that a filter whose keys are all optional needs none. */
export function parse(written, checker) {
  let value;
  try {
    value = written.trim() === '' ? null : json.parse(written);
  } catch (wrong) {
    throw new Wrong(`settings: ${wrong.message}`);
  }
  return checker.read(value ?? Object.create(null), 'settings');
}

const isMap = (value) => value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === null;

function expected(names) {
  const quoted = names.map((name) => `\`${name}\``);
  if (quoted.length === 0) return 'there are no fields';
  return quoted.length <= 2 ? `expected ${quoted.join(' or ')}` : `expected one of ${quoted.join(', ')}`;
}

function mismatch(value, wanted, path) {
  let found;
  if (value === null) found = 'null';
  else if (typeof value === 'boolean') found = `boolean \`${value}\``;
  else if (typeof value === 'string') found = `string ${JSON.stringify(value)}`;
  else if (Array.isArray(value)) found = 'sequence';
  else if (isMap(value)) found = 'map';
  else found = `${typeof value === 'bigint' || Number.isSafeInteger(value) ? 'integer' : 'floating point'} \`${textOf(value)}\``;
  return new Wrong(`${path}: invalid type: ${found}, expected ${wanted}`);
}
