// What the host gives a filter: a log, counters and lookup tables. In a native test these go to a stand-in.

import { Column, columnOf } from './columns.js';
import { native } from './native.js';
import * as utf8 from './utf8.js';

/** What the calls go to. The build binds a component's imports; see tool/cli.mjs. */
let system = native;

export function bind(imports) {
  system = imports;
}

const say = (level) => (message) => system.log(level, utf8.wellFormed(String(message)));

/** Writes a line to the host's log, under the filter's name. The host limits the rate. */
export const debug = say('debug');
/** The same at level `info`. */
export const info = say('info');
/** The same at level `warn`. */
export const warn = say('warn');
/** The same at level `error`. */
export const error = say('error');

/** Adds to a counter that the host exports under the filter's name: a number or a bigint from 0 to 2^64 - 1. */
export function count(counter, delta = 1) {
  const whole = typeof delta === 'bigint' ? delta : Number.isSafeInteger(delta) ? BigInt(delta) : -1n;
  if (whole < 0n || whole >= 1n << 64n) throw new RangeError(`a counter cannot grow by ${delta}`);
  // The engine hands u64 over as a float64: each half of it is exact.
  const low = whole & 0xffff_ffffn;
  if (whole === low) return system.count(counter, Number(whole));
  system.count(counter, Number(whole - low));
  if (low > 0n) system.count(counter, Number(low));
}

/**
 * Looks every key up in a table that the host keeps, and answers the wanted fields: for each name a value per key, undefined
 * where the key was not found or has no such field. Ask once for a whole batch: a call costs some microseconds.
 */
export function lookup(table, keys, want) {
  const found = {};
  for (const name of want) found[name] = new Array(keys.length).fill(undefined);
  const asked = columnOf('key', keys);
  if (asked === undefined) return found;
  if (asked.values.tag === 'int64' || asked.values.tag === 'timestamp') asked.values.val = Array.from(asked.values.val, parted);
  let answer;
  try {
    answer = system.lookup(table, asked, want);
  } catch (refused) {
    throw new Error(`table ${table}: ${refused instanceof Error ? refused.message : refused}`);
  }
  for (const raw of answer) found[raw.name] = new Column(raw).values;
  return found;
}

/** An integer as its lower and its upper half. */
const parted = (number) => [Number(BigInt.asIntN(32, number)), Number(BigInt.asIntN(32, number >> 32n))];
