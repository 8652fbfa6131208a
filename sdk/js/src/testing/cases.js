// A filter's own cases: folders that hold its settings, records, and what should become of them.
//
// `settings.json`, `in.ndjson`, `out.ndjson`, `rejected.ndjson` (`{"row":3,"reason":"…"}`), or `refused.txt` instead of the records,
// and `tables/<name>.ndjson`, the rows of a table with the key under `key`.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from '../json.js';
import { Refused, Tester, setTable } from './index.js';

const read = (file) => readFileSync(file, 'utf8');
const lines = (file, reader) =>
  existsSync(file) ? read(file).split('\n').filter((line) => line.trim() !== '').map(reader) : [];

/** Runs every case under a folder, and throws with the first that went wrong. Answers how many there are. */
export function runCases(folder, filter) {
  const cases = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert(cases.length > 0, `no cases in ${folder}`);
  for (const { name } of cases) run(join(folder, name), name, filter);
  return cases.length;
}

function run(folder, name, filter) {
  const tables = join(folder, 'tables');
  for (const file of existsSync(tables) ? readdirSync(tables) : []) {
    const rows = lines(join(tables, file), parse);
    setTable(file.replace(/\.ndjson$/, ''), Object.fromEntries(rows.map((row) => [String(row.key), row])));
  }
  const refused = join(folder, 'refused.txt');
  const settings = parse(read(join(folder, 'settings.json')));
  if (existsSync(refused)) {
    assert.throws(() => new Tester(filter, settings), new Refused(read(refused).trimEnd()), name);
    return;
  }
  const found = new Tester(filter, settings).runNdjson(read(join(folder, 'in.ndjson')));
  const rejected = lines(join(folder, 'rejected.ndjson'), JSON.parse).map(({ row, reason }) => [row, reason]);
  assert.deepEqual(found, { records: lines(join(folder, 'out.ndjson'), JSON.parse), rejected }, name);
}
