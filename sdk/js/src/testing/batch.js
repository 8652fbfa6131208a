// Records as batches, as the host makes them.

import { Batch, columnOf } from '../columns.js';
import { parse } from '../json.js';
import { kept } from '../native.js';
import * as path from '../path.js';
import { Timestamp, parseExact } from '../time.js';
import { Json, isObject, of } from '../values.js';

/** Depth past which an object is one json value, and members past which it is. */
const MAX_DEPTH = 8;
const MAX_MEMBERS = 64;
/** The tag of a record that brings none. */
export const TAG = 'test';

/** The members of an object by their paths, each of its kind. */
export function flatten(record) {
  const out = new Map();
  members(record, '', 1, out);
  for (const name of ['@timestamp', '@tag']) {
    if (!out.has(name)) continue;
    const value = out.get(name);
    const time = name === '@timestamp' && typeof value === 'string' ? parseExact(value) : undefined;
    if (time !== undefined) {
      out.set(name, time);
    } else if (name === '@timestamp' || typeof value !== 'string') {
      out.delete(name);
      out.set(`_${name}`, value);
    }
  }
  return out;
}

function members(record, above, depth, out) {
  for (const [name, value] of Object.entries(record)) {
    // The first name of a record may be empty, and is a name all the same.
    const below = depth === 1 ? path.escape(name) : `${above}.${path.escape(name)}`;
    const count = typeof value === 'object' && isObject(value) ? Object.keys(value).length : 0;
    if (count > 0 && count <= MAX_MEMBERS && depth < MAX_DEPTH) members(value, below, depth + 1, out);
    else out.set(below, of(value));
  }
}

/**
 * A column as it comes in: the engine hands integers over as two halves. (What a guest answers is a typed array.)
 */
export function incoming(column) {
  if (column !== undefined && (column.values.tag === 'int64' || column.values.tag === 'timestamp')) {
    const pair = (number) => [Number(BigInt.asIntN(32, number)), Number(BigInt.asIntN(32, number >> 32n))];
    column.values.val = Array.from(column.values.val, pair);
  }
  return column;
}

/** A batch of records, each as its fields by their paths. */
export function ofRecords(records) {
  const names = new Set(records.flatMap((record) => [...record.keys()]));
  const made = [...names].map((name) => incoming(columnOf(name, records.map((record) => record.get(name)))));
  return { rows: records.length, columns: made.filter((column) => column !== undefined) };
}

/** The records of an NDJSON text as a batch. */
export function ofNdjson(ndjson) {
  const lines = ndjson.split('\n').filter((line) => line.trim() !== '');
  const records = lines.map((line) => flatten(parse(line)));
  for (const record of records) {
    if (!record.has('@timestamp')) record.set('@timestamp', new Timestamp(0n));
    if (!record.has('@tag')) record.set('@tag', TAG);
  }
  return ofRecords(records);
}

/**
 * The batch as a filter sees it: with the fields it wants, what lies below them, and those of them that stand inside of a json
 * value.
 */
export function select(batch, names) {
  if (names === undefined) return batch;
  const isWanted = (column) => names.some((name) => column.name === name || path.isBelow(column.name, name));
  const seen = new Map(batch.columns.filter(isWanted).map((column) => [column.name, column]));
  const whole = new Batch(batch);
  for (const name of names) {
    const lifted = Array.from({ length: batch.rows }, (_, row) => inside(whole, row, name));
    if (lifted.every((value) => value === undefined)) continue;
    const own = whole.values(name);
    seen.set(name, incoming(columnOf(name, lifted.map((value, row) => value ?? own[row]))));
  }
  return { rows: batch.rows, columns: [...seen.values()] };
}

function inside(batch, row, name) {
  for (const outer of path.above(name)) {
    const value = batch.values(outer)[row];
    if (!(value instanceof Json)) continue;
    let found = parse(value.text);
    for (const member of path.names(name.slice(outer.length + 1))) {
      found = found !== null && typeof found === 'object' && Object.hasOwn(found, member) ? found[member] : undefined;
    }
    if (found !== undefined) return of(found);
  }
  return undefined;
}

kept.columnsOf = (rows, keys, want) => {
  const [column] = new Batch({ rows: 0, columns: [keys] }).columns;
  const found = column.values.map((key) => (key === undefined ? undefined : rows[String(key)]));
  const value = (row, name) => (row !== undefined && Object.hasOwn(row, name) ? of(row[name]) : undefined);
  const made = want.map((name) => incoming(columnOf(name, found.map((row) => value(row, name)))));
  return made.filter((one) => one !== undefined);
};
