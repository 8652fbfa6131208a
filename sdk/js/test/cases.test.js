// The cases of `wit/cases`, as filters meet them in the SDK.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { filter as guest, state } from '../conformance/filter.js';
import { filter as example } from '../example/logline.js';
import { filter as exampleByRecord } from '../example/by-record.js';
import { Batch, Changes, Column, columnOf, kindOf } from '../src/columns.js';
import { parse } from '../src/json.js';
import { asTheContract, guestWorld } from '../tool/world.mjs';
import * as path from '../src/path.js';
import * as time from '../src/time.js';
import * as utf8 from '../src/utf8.js';
import { Float64, Json, decode, dump, mixedText, ofNumber, textOf } from '../src/values.js';
import { flatten } from '../src/testing/batch.js';
import { runBorders, withKind } from '../src/testing/borders.js';
import { runCases } from '../src/testing/index.js';

const sdk = new URL('..', import.meta.url);
const cases = new URL('../../wit/cases/', sdk);
const file = (url) => readFileSync(url, 'utf8');

function lines(name) {
  const found = file(new URL(`values/${name}`, cases)).split('\n').filter((line) => line !== '');
  assert(found.length > 0, `${name} holds no case`);
  return found.map((line) => [line, parse(line)]);
}

const flat = (text) => [...flatten(parse(text))];

test('paths', () => {
  for (const [line, one] of lines('paths.ndjson')) {
    if (one.names !== undefined) {
      assert.deepEqual(path.split(one.path), one.names, line);
      const canonical = one.canonical ?? one.path;
      const quoted = one.json === undefined ? one.names.map((name) => JSON.stringify(name)) : one.json.map((name) => `"${name}"`);
      const nested = quoted.reduceRight((inner, name) => `{${name}:${inner}}`, '7');
      assert.deepEqual(flat(nested), [[canonical, 7]], line);
      assert.equal(path.canonical(one.path), canonical, line);
    } else if (one.and_above !== undefined) {
      assert.deepEqual(path.andAbove(one.path), one.and_above, line);
    } else if (one.below !== undefined) {
      assert.equal(path.isBelow(one.inner, one.outer), one.below, line);
    } else {
      assert.deepEqual(path.contradiction(one.paths) ?? null, one.contradiction, line);
    }
  }
});

test('numbers', () => {
  for (const [line, one] of lines('numbers.ndjson')) {
    const value = ofNumber(one.in);
    if (one.wrong) {
      assert.equal(value, undefined, line);
      assert.throws(() => parse(one.in), SyntaxError, line);
    } else {
      assert.deepEqual([kindOf(value), textOf(value)], [one.kind, one.out], line);
    }
  }
});

test('times', () => {
  for (const [line, one] of lines('times.ndjson')) {
    const ns = one.ns === null ? undefined : BigInt(one.ns);
    assert.equal(time.parseExact(one.in)?.ns, ns, line);
    assert.equal(time.parseRfc3339(one.in)?.ns, one.lenient === undefined ? ns : BigInt(one.lenient), line);
    const [[name, value]] = flat(JSON.stringify({ '@timestamp': one.in }));
    if (ns === undefined) {
      assert.deepEqual([name, value], ['_@timestamp', one.in], line);
    } else {
      assert.equal(time.formatRfc3339(ns), one.out, line);
      assert.deepEqual([name, value.ns], ['@timestamp', ns], line);
    }
  }
});

test('json texts', () => {
  for (const [line, one] of lines('json.ndjson')) {
    const value = decode(one.out);
    const [[kind, wanted]] = Object.entries(one.value);
    const exact = ['int64', 'float64', 'timestamp'].includes(kind) ? dump(wanted) : wanted;
    assert.deepEqual(withKind(value), { [kind]: exact }, line);
    assert.equal(textOf(new Json(one.out)), one.plain ?? one.out.trimStart(), line);
    assert.deepEqual(decode(mixedText(value)), value, line);
  }
});

test('UTF-8 comes and goes without a decoder', () => {
  const texts = ['', 'plain', 'ä', '€uro', '😀', 'a😀b', '\u07ff\u0800\uffff', 'x'.repeat(100)];
  let end = 0;
  const ends = texts.map((text) => (end += utf8.length(text)));
  assert.deepEqual(utf8.cut(texts.join(''), ends), texts);
  for (const text of texts) {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(utf8.encode(text), bytes);
    assert.equal(utf8.decode(bytes), text);
    assert.equal(utf8.length(text), bytes.length);
  }
  const decoder = new TextDecoder();
  for (let n = 0; n < 20_000; n++) {
    const bytes = Uint8Array.from({ length: 6 }, (_, at) => [0x61, 0xc3, 0xa4, 0xe0, 0xed, 0xa0, 0x80, 0xf0, 0xf4, 0x90][(n * 7 ** at) % 10 | 0]);
    assert.equal(utf8.decode(bytes), decoder.decode(bytes), String(bytes));
    assert.deepEqual(utf8.encode(utf8.decode(bytes, true)), bytes);
  }
});

test('the conformance guest answers as the contract says', () => {
  assert(runBorders(fileURLToPath(new URL('batches', cases)), guest) > 10);
});

test('a field is found in its column and inside of objects that have no columns', () => {
  const column = (name, ...content) => columnOf(name, content);
  const batch = new Batch({
    rows: 4,
    columns: [
      column('last', undefined, 'own', undefined, undefined),
      column('p', undefined, new Json('{"q.r":1}'), new Json('[1]'), undefined),
      column('@rest', new Json('{"last":"x","p":{"q.r":2.0}}'), undefined, new Json('{"last":1.5,"last":2}'), undefined),
    ],
  });
  assert.deepEqual(batch.values('last'), ['x', 'own', 2, undefined]);
  assert.deepEqual(batch.values('p.q\\.r'), [new Float64(2), 1, undefined, undefined]);
  assert.deepEqual(batch.values('@rest').map((value) => value !== undefined), [true, false, true, false]);
  assert.deepEqual(batch.values('missing'), new Array(4).fill(undefined));
});

test('of several reasons the first one is told', () => {
  const changes = new Changes(3);
  for (const [row, reason] of [[1, 'first'], [0, 'of another row'], [1, 'second']]) changes.reject(row, reason);
  assert.equal(changes.goingOn, 1);
  assert.deepEqual(changes.finish().rejected, [{ row: 1, reason: 'first' }, { row: 0, reason: 'of another row' }]);
});

test('the example does what its cases say', () => {
  const folder = fileURLToPath(new URL('../example/cases', sdk));
  assert(runCases(folder, example) > 4);
  assert(runCases(folder, exampleByRecord) > 4);
});

test('a filter says what it remembers and takes it again', () => {
  guest.configure('{}');
  const saved = () => utf8.decode(state.save());
  assert.equal(saved(), '1 0');
  state.restore(utf8.encode('1 4'));
  state.restore(utf8.encode('1 3'));
  assert.equal(saved(), '1 7');
  assert.throws(() => state.restore(utf8.encode('2 7')), (said) => said === 'its format is not known');
});

test('the SDK carries the contract', () => {
  for (const name of ['filter.wit', 'state.wit']) assert.equal(file(new URL(`wit/${name}`, sdk)), file(new URL(`../${name}`, cases)));
});

test('the tutorial shows the template', () => {
  const code = file(new URL('template/src/filter.js', sdk));
  const [, filter] = code.split(/\n\n(.*)/s);
  assert(file(new URL('README.md', sdk)).includes(filter.trim()), 'copy it from template/src/filter.js');
  assert.equal(file(new URL('template-ts/src/filter.ts', sdk)), code);
});

test('the guest of the toolchain that is pinned is made one of the contract', () => {
  const pinned = JSON.parse(file(new URL('package.json', sdk))).dependencies;
  const setup = file(new URL('../../scripts/setup-sdk.sh', sdk));
  assert(setup.includes(Object.entries(pinned).map(([name, version]) => `${name}@${version}`).join(' ')));
  assert.match(guestWorld(...['filter', 'state'].map((name) => file(new URL(`wit/${name}.wit`, sdk)))), /int64\(list<tuple<u32, u32>>\)/);
  assert.throws(() => asTheContract(Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0)), /another make/);
});

test('a column of texts reads back as it was, with rows that have none and with what is not ASCII', () => {
  for (const content of [
    ['a', 'bc', 'd'],
    ['a', undefined, '', undefined, 'e', 'f', 'g', 'h', undefined, 'jk'],
    [undefined, undefined, 'c'],
    ['', ''],
    ['ä', undefined, 'b'],
    ['a', undefined, 7],
  ]) {
    assert.deepEqual(new Column(columnOf('name', content)).values, content);
  }
  assert.equal(columnOf('name', [undefined]), undefined);
});
