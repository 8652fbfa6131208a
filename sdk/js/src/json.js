// A reader of JSON that keeps what JSON.parse loses: integers past 2^53, and which numbers are floats.

import { Float64, Json, ofNumber } from './values.js';

const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\.)*")|([-+.0-9a-zA-Z]+))/y;

/**
 * Reads a JSON text. Numbers come as a field's values do: `number`, `bigint`, `Float64`, or `Json` where neither int64 nor
 * float64 holds them; objects are without a prototype, and of two members of one name the last one stays.
 */
export function parse(text) {
  const place = { text, at: 0 };
  const value = read(place, token(place), 0);
  if (text.slice(place.at).trim() !== '') throw new SyntaxError(`${JSON.stringify(text[place.at])} behind the JSON value`);
  return value;
}

function token(place) {
  TOKEN.lastIndex = place.at;
  const found = TOKEN.exec(place.text);
  if (found === null) throw new SyntaxError(`no JSON at character ${place.at}`);
  place.at = TOKEN.lastIndex;
  return found;
}

function read(place, [, mark, string, word], depth) {
  if (depth > 128) throw new SyntaxError('nested deeper than 128');
  if (string !== undefined) return JSON.parse(string);
  if (word !== undefined) {
    if (word === 'null') return null;
    if (word === 'true' || word === 'false') return word === 'true';
    const number = ofNumber(word);
    if (number === undefined) throw new SyntaxError(`${word} is no JSON`);
    return number;
  }
  if (mark === '[') return list(place, depth);
  if (mark === '{') return object(place, depth);
  throw new SyntaxError(`${mark} where a value should be`);
}

function list(place, depth) {
  const items = [];
  let next = token(place);
  if (next[1] === ']') return items;
  for (;;) {
    items.push(read(place, next, depth + 1));
    if (separator(place, ']')) return items;
    next = token(place);
  }
}

function object(place, depth) {
  const members = Object.create(null);
  let next = token(place);
  if (next[1] === '}') return members;
  for (;;) {
    if (next[2] === undefined || token(place)[1] !== ':') throw new SyntaxError('no name of a member');
    const name = JSON.parse(next[2]);
    delete members[name];
    members[name] = read(place, token(place), depth + 1);
    if (separator(place, '}')) return members;
    next = token(place);
  }
}

/** Whether the end stands next, and not a comma. */
function separator(place, end) {
  const mark = token(place)[1];
  if (mark !== end && mark !== ',') throw new SyntaxError(`no comma or ${end}`);
  return mark === end;
}

/** The same with `number` for every float. */
export function plain(value) {
  if (value instanceof Float64) return value.value;
  if (value instanceof Json) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return value;
}

/** The members of a valid JSON object by their names, as their texts; of two of one name the last one. None of any other text. */
export function members(text) {
  const found = new Map();
  const place = { text, at: 0 };
  if (text[0] !== '{') return found;
  token(place);
  for (let next = token(place); next[1] !== '}'; next = token(place)) {
    if (next[1] === ',') continue;
    token(place);
    const start = place.at;
    let depth = 0;
    do {
      const mark = token(place)[1];
      if (mark === '{' || mark === '[') depth++;
      else if (mark === '}' || mark === ']') depth--;
    } while (depth > 0);
    found.set(JSON.parse(next[2]), text.slice(start, place.at).trim());
  }
  return found;
}
