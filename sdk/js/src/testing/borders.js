// The cases of wit/cases/batches of flitch, run natively: what a filter that follows the contract answers.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { bitmapOf, kindOf } from '../columns.js';
import { parse } from '../json.js';
import * as utf8 from '../utf8.js';
import { Float64, dump } from '../values.js';
import * as apply from './apply.js';
import { incoming, select } from './batch.js';
import { setTable, takeCounters, takeLog } from './index.js';

/** Runs all cases of a folder through a conformance guest. Answers how many there are. */
export function runBorders(folder, guest) {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  assert(files.length > 0, `no cases in ${folder}`);
  for (const file of files) runOne(parse(readFileSync(join(folder, file), 'utf8')), guest, file);
  return files.length;
}

function runOne(test, guest, file) {
  for (const [name, rows] of Object.entries(test.tables ?? {})) {
    setTable(name, Object.fromEntries(rows.map((row) => [String(row.key), row])));
  }
  let fields;
  try {
    fields = guest.configure(dump(test.settings)).val;
  } catch (said) {
    assert.equal(said, test.refused, file);
    return;
  }
  assert.equal(test.refused, undefined, `${file}: the settings were taken`);
  if ('fields' in test) assert.deepEqual(fields ?? null, test.fields, file);
  const batch = batchOf(test.batch);
  takeLog();
  takeCounters();
  const changes = guest.apply(select(batch, fields));
  assert.deepEqual(takeLog(), test.log ?? [], file);
  const counters = Object.entries(takeCounters()).map(([name, value]) => [name, String(value)]);
  assert.deepEqual(counters, Object.entries(test.counters ?? {}).map(([name, value]) => [name, dump(value)]), file);
  assert.equal(dump(changes.rejected), dump(test.rejected ?? []), file);
  const found = apply.records(batch, changes).map((record) => Object.fromEntries([...record].map(([n, v]) => [n, withKind(v)])));
  assert.deepEqual(found.map(sorted), test.out.map((record) => sorted(withKinds(record))), file);
}

const sorted = (record) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

/** A value by its own kind, `{ int64: '5' }`: as text, in which a whole number of each kind is another. */
export function withKind(value) {
  const kind = kindOf(value);
  if (kind === 'text' || kind === 'boolean') return { [kind]: value };
  if (kind === 'json') return { json: value.text };
  if (kind === 'bytes') return { bytes: Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('') };
  return { [kind]: kind === 'timestamp' ? String(value.ns) : dump(value) };
}

/** The fields of a case in the same form. */
const withKinds = (record) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => {
    const [[kind, inner]] = Object.entries(value);
    return [name, { [kind]: ['int64', 'float64', 'timestamp'].includes(kind) ? dump(inner) : inner }];
  }));

/** The batch of a case: `{"rows": 2, "columns": {"a": {"text": ["x", null]}}}`. */
function batchOf({ rows, columns }) {
  const made = Object.entries(columns).map(([name, kinds]) => {
    const [[tag, values]] = Object.entries(kinds);
    const present = values.includes(null) ? bitmapOf(rows, (row) => values[row] !== null) : undefined;
    return incoming({ name, present, values: { tag, val: contentOf(tag, values) } });
  });
  return { rows, columns: made };
}

function contentOf(tag, values) {
  if (tag === 'boolean') return bitmapOf(values.length, (row) => values[row] === true);
  if (tag === 'float64') return values.map((value) => (value instanceof Float64 ? value.value : value ?? 0));
  if (tag === 'int64' || tag === 'timestamp') return BigInt64Array.from(values, (value) => BigInt(value ?? 0));
  let end = 0;
  if (tag === 'bytes') {
    const parts = values.map((value) => (value ?? '').match(/../g)?.map((byte) => parseInt(byte, 16)) ?? []);
    return { data: Uint8Array.from(parts.flat()), ends: parts.map((part) => (end += part.length)) };
  }
  return { data: values.join(''), ends: values.map((value) => (end += utf8.length(value ?? ''))) };
}

