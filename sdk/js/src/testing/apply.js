// A filter's answer, checked as the host does, and applied to the records.

import assert from 'node:assert/strict';

import { Column, bitsOf } from '../columns.js';
import * as path from '../path.js';
import { Timestamp } from '../time.js';
import * as utf8 from '../utf8.js';
import { textOf } from '../values.js';
import { TAG, incoming } from './batch.js';

/** The values of an answer's column. Throws where the host would not take it. */
function rowsOf(column, rows) {
  const { tag, val } = column.values;
  const what = `column \`${column.name}\``;
  if (val.ends !== undefined) {
    assert.equal(val.ends.length, rows, `${what} has ${val.ends.length} of ${rows} rows`);
    const size = typeof val.data === 'string' ? utf8.length(val.data) : val.data.length;
    assert.equal(val.ends.at(-1) ?? 0, size, `the last end of ${what}`);
    assert(val.ends.every((end, row) => row === 0 || end >= val.ends[row - 1]), `the ends of ${what} grow`);
  } else {
    assert.equal(val.length, tag === 'boolean' ? (rows + 7) >> 3 : rows, `the length of ${what}`);
  }
  if (column.present) assert.equal(column.present.length, (rows + 7) >> 3, `the bitmap of ${what}`);
  return new Column(incoming({ ...column, values: { tag, val } })).values.slice(0, rows);
}

/** The rows that go on. */
function goingOn(batch, changes) {
  const rejected = new Set(changes.rejected.map((rejection) => rejection.row));
  assert.equal(rejected.size, changes.rejected.length, 'a row is rejected twice');
  for (const row of rejected) assert(row < batch.rows, `row ${row} is rejected, of ${batch.rows}`);
  const all = Array.from({ length: batch.rows }, (_, row) => row);
  if (changes.take === undefined) return all.filter((row) => !rejected.has(row));
  for (const row of changes.take) {
    assert(row < batch.rows, `row ${row} was taken, of ${batch.rows}`);
    assert(!rejected.has(row), `row ${row} is both taken and rejected`);
  }
  return [...changes.take];
}

/** The records that go on, each as a map of its fields by their paths. */
export function records(batch, changes) {
  const rows = goingOn(batch, changes);
  const came = batch.columns.map((column) => [column.name, new Column(column).values]);
  const removed = changes.remove.map((one) => [one.name, one.rows && bitsOf(one.rows, rows.length)]);
  const written = changes.set.map((column) => [column.name, rowsOf(column, rows.length)]);
  return rows.map((row, to) => {
    const record = new Map();
    for (const [name, values] of came) if (values[row] !== undefined) record.set(name, values[row]);
    for (const [name, bits] of removed) if (bits === undefined || bits[to]) forget(record, name);
    for (const [name, values] of written) {
      if (values[to] === undefined) continue;
      forget(record, name);
      record.set(name, values[to]);
    }
    return record;
  });
}

function forget(record, name) {
  for (const own of [...record.keys()]) if (own === name || path.isBelow(own, name)) record.delete(own);
}

/** The records that go on as JSON, and the rows that were rejected. */
export function outcome(batch, changes) {
  const rejected = changes.rejected.map(({ row, reason }) => [row, reason]);
  return { records: records(batch, changes).map(nested), rejected };
}

function nested(record) {
  const out = {};
  for (const [name, value] of record) {
    if (name === '@timestamp' && value instanceof Timestamp && value.ns === 0n) continue;
    if (name === '@tag' && value === TAG) continue;
    const plain = JSON.parse(textOf(value));
    if (name === '@rest') {
      Object.assign(out, plain);
      continue;
    }
    const names = path.names(name);
    let place = out;
    for (const outer of names.slice(0, -1)) {
      if (typeof place[outer] !== 'object' || place[outer] === null || Array.isArray(place[outer])) place[outer] = {};
      place = place[outer];
    }
    place[names.at(-1)] = plain;
  }
  return out;
}
